/** What is wrong with a topology file, and where. Serves load.ts and everyone who shows its errors. */

export interface TopologyError {
  /** As the caller named it. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  /** `ports[3].fixed_ips[0]`; empty for the document as a whole. */
  readonly path: string;
  /** What is wrong, and what would be right. */
  readonly message: string;
}

/** `topology.yaml:12:7: ports[3].fixed_ips[0]: …`, the form that editors and compilers agree on. */
export function formatTopologyError(error: TopologyError): string {
  const place = `${error.file}:${error.line}:${error.column}:`;
  return error.path === '' ? `${place} ${error.message}` : `${place} ${error.path}: ${error.message}`;
}

/** Exit statuses, a contract with scripts: 0 success, 1 a finding (a difference, an invalid file, nobody there), 2 wrong usage. */
export const EXIT = { success: 0, finding: 1, usage: 2 } as const;

export type ExitStatus = (typeof EXIT)[keyof typeof EXIT];

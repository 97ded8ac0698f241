/**
 * The part of binary-parser 2.3 that struct.ts uses. The package's own declarations are not reachable from ES modules (its
 * `exports` names none for them), and would give `any` where this gives `unknown`.
 */
declare module 'binary-parser' {
  export class Parser {
    endianness(order: 'big' | 'little'): this;
    uint8(name: string): this;
    uint16(name: string): this;
    uint32(name: string): this;
    uint64(name: string): this;
    buffer(name: string, options: { length: number; formatter: (bytes: Uint8Array) => unknown }): this;
    skip(size: number): this;
    sizeOf(): number;
    compile(): void;
    parse(bytes: Uint8Array): unknown;
  }
}

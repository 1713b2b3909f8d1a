/** What kernels.ts uses of WebAssembly: TypeScript declares it among the types of browsers only. */
declare namespace WebAssembly {
  class Memory {
    /** In pages of 64 KiB, of zeros. */
    constructor(size: { readonly initial: number });
    readonly buffer: ArrayBuffer;
  }
  class Module {
    constructor(bytes: Uint8Array);
  }
  class Instance {
    constructor(module: Module, imports: { readonly env: { readonly memory: Memory } });
    readonly exports: Readonly<Record<string, unknown>>;
  }
}

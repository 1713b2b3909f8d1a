/**
 * The parts of two packages that glyphs.ts uses. They are declared here because the type check of the whole
 * repository must pass without this folder's own, heavy install.
 */
declare module "fontkit" {
  export interface Path {
    /** Exact bounds in font units; infinite when the path is empty. */
    readonly bbox: { readonly minX: number; readonly minY: number; readonly maxX: number; readonly maxY: number };
    toSVG(): string;
  }
  export interface Font {
    hasGlyphForCodePoint(codePoint: number): boolean;
    glyphForCodePoint(codePoint: number): { readonly path: Path };
  }
  export interface FontCollection {
    readonly fonts: Font[];
  }
  export function create(file: Uint8Array): Font | FontCollection;
}

declare module "@napi-rs/canvas" {
  export class Path2D {
    constructor(svgPath: string);
  }
  export interface Gradient {
    addColorStop(offset: number, colour: string): void;
  }
  export interface Context {
    fillStyle: string | Gradient;
    strokeStyle: string;
    lineWidth: number;
    save(): void;
    restore(): void;
    transform(a: number, b: number, c: number, d: number, e: number, f: number): void;
    strokeRect(x: number, y: number, width: number, height: number): void;
    createLinearGradient(x0: number, y0: number, x1: number, y1: number): Gradient;
    resetTransform(): void;
    translate(x: number, y: number): void;
    rotate(radians: number): void;
    scale(x: number, y: number): void;
    fillRect(x: number, y: number, width: number, height: number): void;
    fill(path: Path2D): void;
    getImageData(x: number, y: number, width: number, height: number): { readonly data: Uint8ClampedArray };
  }
  export interface Canvas {
    getContext(kind: "2d", options?: { willReadFrequently: boolean }): Context;
  }
  export function createCanvas(width: number, height: number): Canvas;
}

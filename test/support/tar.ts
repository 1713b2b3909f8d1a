/** Tar archives made by hand, block by block, so that every field can be wrong. */

const BLOCK = 512;

export interface TarMember {
  readonly name: string;
  readonly content: Uint8Array;
  readonly type?: string;
  /** The size field as it is written; of the content if absent. */
  readonly size?: Uint8Array;
}

/** The members and the two blocks of zeros. */
export function tarOf(members: readonly TarMember[]): Buffer {
  return Buffer.concat([...members.map(memberOf), Buffer.alloc(2 * BLOCK)]);
}

/** Records of a pax header, each with its length. */
export function paxOf(records: Readonly<Record<string, string>>): Buffer {
  const lines = Object.entries(records).map(([key, value]) => {
    const rest = Buffer.byteLength(` ${key}=${value}\n`);
    let length = rest;
    while (length !== rest + String(length).length) length = rest + String(length).length;
    return `${length} ${key}=${value}\n`;
  });
  return Buffer.from(lines.join(""));
}

function memberOf({ name, content, type = "0", size }: TarMember): Buffer {
  const header = Buffer.alloc(BLOCK);
  header.write(name, 0);
  header.write("0000644\0", 100);
  if (size === undefined) header.write(`${content.length.toString(8).padStart(11, "0")}\0`, 124);
  else header.set(size, 124);
  header.write("        ", 148);
  header.write(type, 156);
  header.write("ustar\0" + "00", 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return Buffer.concat([header, content, Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK)]);
}

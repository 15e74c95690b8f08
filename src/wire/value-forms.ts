// The forms of MessagePack that we write and read. Published: they are in logs and snapshots.

/** Values of one token, and the tokens before a number of fixed width. */
export const TOKEN = {
  null: 0xc0,
  false: 0xc2,
  true: 0xc3,
  float64: 0xcb,
  uint8: 0xcc,
  uint16: 0xcd,
  uint32: 0xce,
  uint64: 0xcf,
  int8: 0xd0,
  int16: 0xd1,
  int32: 0xd2,
  int64: 0xd3,
  fixext1: 0xd4,
  fixext8: 0xd7,
} as const;

/**
 * Extension types; 0 is `undefined`. A date is fixext 8 with its milliseconds as a float. Map and text are a marker (fixext 1) before an array
 * and a byte string.
 */
export const EXTENSION = { undefined: 0, date: 1, map: 2, text: 3 } as const;

/** How the length of something is written: in its token up to `short`, else in one, two or four bytes after one of these (0: there is no such form). */
export interface LengthForms {
  readonly what: string;
  readonly token: number;
  readonly short: number;
  readonly in1: number;
  readonly in2: number;
  readonly in4: number;
}

export const TEXT: LengthForms = { what: "a text", token: 0xa0, short: 0x1f, in1: 0xd9, in2: 0xda, in4: 0xdb };
/** No length is in the token. */
export const BYTES: LengthForms = { what: "bytes", token: 0, short: -1, in1: 0xc4, in2: 0xc5, in4: 0xc6 };
export const ARRAY: LengthForms = { what: "an array", token: 0x90, short: 0x0f, in1: 0, in2: 0xdc, in4: 0xdd };
export const RECORD: LengthForms = { what: "an object", token: 0x80, short: 0x0f, in1: 0, in2: 0xde, in4: 0xdf };

/** Text decoders like to swallow it. */
export const BYTE_ORDER_MARK = 0xfeff;
/** Up to here a look at each character is faster than a call of the platform. */
export const SHORT_TEXT_LENGTH = 64;

use super::{Form, HexDump};

fn dump(offset: u64, pieces: &[&[u8]]) -> String {
    let mut text = Vec::new();
    let mut dump = HexDump::new(offset);
    let mut out = |bytes: &[u8]| {
        text.extend_from_slice(bytes);
        Ok(())
    };
    for piece in pieces {
        dump.bytes(piece, &mut out).unwrap();
    }
    dump.end(&mut out).unwrap();
    String::from_utf8(text).unwrap()
}

// The expected texts are the output of `hexdump -C`.
#[test]
fn output_equals_hexdump() {
    assert_eq!(
        dump(0, &[b"Hello, world!\n\0\x7f\xff~"]),
        "00000000  48 65 6c 6c 6f 2c 20 77  6f 72 6c 64 21 0a 00 7f  |Hello, world!...|\n\
         00000010  ff 7e                                             |.~|\n\
         00000012\n"
    );
}

#[test]
fn repeated_lines_become_a_star() {
    let mut bytes = vec![0; 64];
    bytes.extend_from_slice(b"0123456789abcdef");
    bytes.extend_from_slice(&[0; 21]);
    assert_eq!(
        dump(0, &[&bytes]),
        "00000000  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|\n\
         *\n\
         00000040  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef|\n\
         00000050  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|\n\
         00000060  00 00 00 00 00                                    |.....|\n\
         00000065\n"
    );
}

#[test]
fn a_star_spans_pieces() {
    assert_eq!(
        dump(0x1_0000_0000, &[&[7; 32], &[7; 16]]),
        "100000000  07 07 07 07 07 07 07 07  07 07 07 07 07 07 07 07  |................|\n\
         *\n\
         100000030\n"
    );
}

#[test]
fn an_empty_dump_is_an_offset() {
    assert_eq!(dump(16, &[]), "00000010\n");
}

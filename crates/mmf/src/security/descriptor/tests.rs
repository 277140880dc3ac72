use super::*;

fn sid(text: &str) -> Sid {
    text.parse().unwrap()
}

fn ann() -> Sid {
    sid("S-1-5-21-1-2-3-1001")
}

fn deny(mask: u32, sid: &Sid) -> Ace {
    Ace::new(DENIED, mask, sid)
}

#[test]
fn descriptors_survive_their_binary_form() {
    let mut descriptor = Descriptor::new(Some(ann()), vec![Ace::allow(SECTION_ALL, &ann())]);
    descriptor.allow(READ, &Sid::everyone());
    descriptor.set_label(0x1000);
    descriptor.set_label(0x2000);
    let bytes = descriptor.to_bytes().unwrap();
    let read = Descriptor::from_bytes(&bytes).unwrap();
    assert_eq!(read, descriptor);
    assert_eq!(read.label(), Some((0x2000, false)));
    // In the layout of the system: O:WD D:P(A;;GR;;;WD), 20 + 12 + 8 + 20 bytes.
    let small = Descriptor::new(Some(Sid::everyone()), vec![Ace::allow(0x8000_0000, &Sid::everyone())]);
    let mut expected = vec![1, 0, 4, 0x90, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0];
    expected.extend([1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
    expected
        .extend([2, 0, 28, 0, 1, 0, 0, 0, 0, 0, 20, 0, 0, 0, 0, 0x80, 1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
    assert_eq!(small.to_bytes().unwrap(), expected);
    assert_eq!(small.granted(&[Sid::everyone()], &[]) & 0xffff, SECTION_QUERY | SECTION_MAP_READ);
}

#[test]
fn a_missing_list_is_not_an_empty_one() {
    let mut descriptor = Descriptor::new(None, Vec::new());
    assert_eq!(descriptor.granted(&[Sid::everyone()], &[]), 0);
    assert_eq!(Descriptor::from_bytes(&descriptor.to_bytes().unwrap()).unwrap().dacl, Dacl::List(Vec::new()));
    descriptor.dacl = Dacl::Missing;
    assert_eq!(descriptor.granted(&[Sid::everyone()], &[]), SECTION_ALL);
    assert_eq!(Descriptor::from_bytes(&descriptor.to_bytes().unwrap()).unwrap().dacl, Dacl::Missing);
    // A list that is marked as present but NULL is missing, too.
    let mut bytes = descriptor.to_bytes().unwrap();
    bytes[2] |= 4;
    assert_eq!(Descriptor::from_bytes(&bytes).unwrap().dacl, Dacl::Missing);
}

#[test]
fn the_first_matching_entry_decides() {
    let (sids, none) = ([ann(), Sid::everyone()], []);
    let of = |entries: Vec<Ace>| Descriptor::new(None, entries).granted(&sids, &none);
    assert_eq!(of(vec![deny(SECTION_MAP_WRITE, &ann()), Ace::allow(READ_WRITE, &Sid::everyone())]), READ);
    assert_eq!(
        of(vec![Ace::allow(READ_WRITE, &Sid::everyone()), deny(SECTION_MAP_WRITE, &ann())]),
        READ_WRITE
    );
    assert_eq!(of(vec![Ace::allow(READ, &Sid::system())]), 0);
    // A deny-only SID grants nothing.
    let admins = Descriptor::new(None, vec![Ace::allow(READ, &Sid::administrators())]);
    assert_eq!(admins.granted(&sids, &[Sid::administrators()]), 0);
    let denied = Descriptor::new(None, vec![deny(READ, &Sid::administrators()), Ace::allow(READ, &ann())]);
    assert_eq!(denied.granted(&sids, &[Sid::administrators()]), 0);
    let mut inherited = Ace::allow(READ, &ann());
    inherited.flags = INHERIT_ONLY;
    assert_eq!(of(vec![inherited]), 0);
}

#[test]
fn owners_may_change_the_list_unless_an_entry_restricts_them() {
    let own = Descriptor::new(Some(ann()), Vec::new());
    assert_eq!(own.granted(&[ann()], &[]), READ_CONTROL | WRITE_DAC);
    let own = Descriptor::new(Some(ann()), vec![Ace::allow(READ, &Sid::owner_rights())]);
    assert_eq!(own.granted(&[ann()], &[]), READ);
}

#[test]
fn a_list_that_is_too_long_is_refused() {
    let mut descriptor = Descriptor::new(None, Vec::new());
    for number in 0..3000 {
        descriptor.allow(READ, &sid(&format!("S-1-5-21-1-2-3-{number}")));
    }
    assert_eq!(descriptor.to_bytes(), None);
}

#[test]
fn arbitrary_bytes_can_be_parsed() {
    let mut good = Descriptor::new(Some(ann()), vec![deny(1, &ann()), Ace::allow(READ, &ann())]);
    good.set_label(0x3000);
    let good = good.to_bytes().unwrap();
    for len in 0..good.len() {
        let _ = Descriptor::from_bytes(&good[..len]);
    }
    // Every byte of it takes every value.
    for at in 0..good.len() {
        for value in 0..=u8::MAX {
            let mut bytes = good.clone();
            bytes[at] = value;
            if let Ok(read) = Descriptor::from_bytes(&bytes) {
                let _ = (read.granted(&[ann()], &[]), read.label());
                if let Some(written) = read.to_bytes() {
                    assert_eq!(Descriptor::from_bytes(&written).as_ref(), Ok(&read));
                }
            }
        }
    }
}

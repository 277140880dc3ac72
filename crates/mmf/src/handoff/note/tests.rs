use super::*;

fn notes() -> [Note; 3] {
    let object = (1, u64::MAX);
    [
        Note { way: Way::Descriptor { number: 7, object }, len: 0, writable: true },
        Note {
            way: Way::Foreign { process: 1, started: 0, namespaces: (2, 3), number: 0, object },
            len: 9,
            writable: false,
        },
        Note { way: Way::Parcel { name: r"Local\x".to_owned() }, len: u64::MAX, writable: false },
    ]
}

#[test]
fn texts_and_back() {
    for note in notes() {
        assert_eq!(note.to_string().parse(), Ok(note));
    }
}

#[test]
fn what_is_garbled_is_none() {
    for text in [
        "",
        ":",
        "1",
        "1:",
        "2:fd:7:1:2:3:rw",
        "1:fd:7:1:2:3",
        "1:fd:7:1:2:3:w",
        "1:fd:-7:1:2:3:rw",
        "1:fd:+7:1:2:3:rw",
        "1:fd:07:1:2:3:rw",
        "1:fd::1:2:3:rw",
        "1:fd:7:1:2:3:rw:",
        " 1:fd:7:1:2:3:rw",
        "1:fd:7:1:2:3:rw\n",
        "1:fd:99999999999:1:2:3:rw",
        "1:parcel:a:b:3:rw",
        "1:proc:1:2:3:4:5:rw",
        "1:proc:1:2:3:4:5:6:rw",
        "1:proc:1:2:3:4:5:6:7:rw",
    ] {
        assert_eq!(text.parse::<Note>(), Err(NoNote), "{text}");
    }
    // Cut, or with any one byte changed, it is garbled or says something else; never does it break anything.
    for note in notes() {
        let text = note.to_string();
        for at in 0..text.len() {
            let _ = text[..at].parse::<Note>();
            for byte in 0..128_u8 {
                let mut bytes = text.clone().into_bytes();
                bytes[at] = byte;
                if let Ok(changed) = String::from_utf8(bytes) {
                    if let Ok(read) = changed.parse::<Note>() {
                        assert_eq!(read.to_string(), changed);
                    }
                }
            }
        }
    }
}

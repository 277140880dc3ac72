use super::is_near;

#[test]
fn typing_mistakes_are_near() {
    for (left, right, near) in [
        ("nc-tow", "nc-two", true),
        ("telemetry", "telemtry", true),
        ("telemetry", "telemettry", true),
        ("telemetry", "telemetrx", true),
        ("telemetry", "telemetry", false),
        ("frames1", "frames2", false),
        ("frames1", "frames12", false),
        ("frames", "planes", false),
        ("abc", "abd", false),
        ("\u{fc}bung", "\u{fc}bunk", true),
    ] {
        assert_eq!(is_near(left, right), near, "{left} {right}");
    }
}

use clap::CommandFactory;

#[test]
fn the_arguments_are_consistent() {
    super::Args::command().debug_assert();
}

#[test]
fn intervals_have_units_and_bounds() {
    let milliseconds = |text| super::interval(text).map(|time| time.as_millis());
    for (text, time) in [("100ms", 100), ("0.5s", 500), ("2", 2000), ("10ms", 10), ("3600", 3_600_000)] {
        assert_eq!(milliseconds(text), Ok(time), "{text}");
    }
    for text in ["", "ms", "soon", "9ms", "0", "-1", "3601s", "NaN", "inf", "1m"] {
        assert!(milliseconds(text).is_err(), "{text}");
    }
}

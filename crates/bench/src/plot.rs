//! Bar charts in SVG.

use std::fmt::Write;

/// One bar and its upper target.
pub struct Bar<'a> {
    /// The label.
    pub label: &'a str,
    /// The length.
    pub value: f64,
    /// The target, drawn as a mark.
    pub aim: Option<f64>,
}

/// Returns a bar chart. Bars that end at or before their mark are green, those beyond it orange, and those
/// without one grey.
#[must_use]
pub fn plot(title: &str, bars: &[Bar<'_>]) -> String {
    const LEFT: f64 = 400.0;
    const WIDTH: f64 = 460.0;
    const STEP: f64 = 26.0;
    let most = bars.iter().map(|bar| bar.value.max(bar.aim.unwrap_or(0.0))).fold(1.0, f64::max).min(4.0);
    let x = |value: f64| LEFT + value.min(most) / most * WIDTH;
    let height = 60.0 + STEP * bars.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"940\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"{LEFT}\" y=\"20\" font-weight=\"bold\">{title}</text>\n"
    );
    let (one, bottom) = (x(1.0), height - 20.0);
    let _ = writeln!(svg, "<line x1=\"{one}\" y1=\"30\" x2=\"{one}\" y2=\"{bottom}\" stroke=\"#888888\"/>");
    for (index, bar) in bars.iter().enumerate() {
        let y = 36.0 + STEP * index as f64;
        let (middle, end) = (y + 14.0, x(bar.value));
        let colour = match bar.aim {
            None => "#9aa5b1",
            Some(aim) if bar.value <= aim => "#4c9f70",
            Some(_) => "#d98032",
        };
        let label = bar.label.replace('&', "&amp;").replace('<', "&lt;");
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{label}</text>", LEFT - 8.0);
        let width = end - LEFT;
        let _ = writeln!(
            svg,
            "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{width:.1}\" height=\"18\" fill=\"{colour}\"/>"
        );
        let free = end.max(bar.aim.map_or(0.0, x)) + 6.0;
        let cut = if bar.value > most { " (cut)" } else { "" };
        let _ = writeln!(svg, "<text x=\"{free:.1}\" y=\"{middle}\">{:.2}{cut}</text>", bar.value);
        if let Some(aim) = bar.aim {
            let at = x(aim);
            let (top, foot) = (y - 3.0, y + 21.0);
            let _ = writeln!(
                svg,
                "<line x1=\"{at:.1}\" y1=\"{top}\" x2=\"{at:.1}\" y2=\"{foot}\" \
                 stroke=\"#222222\" stroke-width=\"2\"/>"
            );
        }
    }
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"{}\" fill=\"#555555\">black marks: targets</text>\n</svg>",
        height - 6.0
    );
    svg
}

//! Draws curves as SVG.

use std::error::Error;
use std::ops::Range;
use std::path::Path;

use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

use super::curves::{Measured, Plot};
use crate::scores::size;

const SIZE: (u32, u32) = (760, 420);
const COLORS: [RGBColor; 3] = [RGBColor(0x1F, 0x5F, 0xA8), RGBColor(0xC4, 0x4E, 0x1C), RGBColor(0x55, 0x55, 0x55)];
/// A font that every browser has.
const FONT: &str = "sans-serif";

/// Draws the measured curves of `plot` into the file at `path`.
///
/// # Errors
/// Errors of the file.
pub fn draw(plot: &Plot, measured: &[Measured], path: &Path) -> Result<(), Box<dyn Error>> {
    let all = || measured.iter().flat_map(|curve| &curve.points);
    let x = bounds(all().map(|point| point.0));
    let y = bounds(all().map(|point| point.1));
    if plot.log {
        draw_on(plot, measured, path, x, (y.start / 1.5..y.end * 3.0).log_scale())
    } else {
        // The axis begins at zero, so that a flat curve looks flat.
        draw_on(plot, measured, path, x, 0.0..y.end * 1.4)
    }
}

fn bounds(values: impl Iterator<Item = f64>) -> Range<f64> {
    values.fold(f64::INFINITY..0.0, |range, value| range.start.min(value)..range.end.max(value))
}

fn draw_on<Y>(plot: &Plot, measured: &[Measured], path: &Path, x: Range<f64>, y: Y) -> Result<(), Box<dyn Error>>
where
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let in_bytes = plot.axes[0].starts_with("bytes");
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .margin(14)
        .margin_right(30)
        .caption(plot.title, (FONT, 18))
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(x.log_scale().base(if in_bytes { 4.0 } else { 10.0 }), y)?;
    chart
        .configure_mesh()
        .x_desc(plot.axes[0])
        .y_desc(plot.axes[1])
        .x_label_formatter(&|x| if in_bytes { size(x.round() as usize) } else { thousands(*x) })
        .y_label_formatter(&|y| thousands(*y))
        .label_style((FONT, 12))
        .axis_desc_style((FONT, 14))
        .light_line_style(WHITE)
        .draw()?;
    for (curve, color) in measured.iter().zip(COLORS) {
        chart
            .draw_series(LineSeries::new(curve.points.iter().copied(), color.stroke_width(2)).point_size(3))?
            .label(curve.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(if rises(measured) { SeriesLabelPosition::UpperLeft } else { SeriesLabelPosition::UpperRight })
        .label_font((FONT, 13))
        .background_style(WHITE)
        .border_style(BLACK.mix(0.3))
        .draw()?;
    root.present()?;
    Ok(())
}

/// Whether a curve ends in the upper right corner.
fn rises(measured: &[Measured]) -> bool {
    measured.iter().filter_map(|curve| curve.points.first().zip(curve.points.last())).any(|(a, b)| b.1 > 1.5 * a.1)
}

/// A number with thousands separators.
fn thousands(value: f64) -> String {
    if value < 10.0 {
        // Small numbers keep all of their digits.
        return format!("{}", (value * 1e4).round() / 1e4);
    }
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

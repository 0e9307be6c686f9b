//! The chart of streams: each system as a share of the bare cipher.

use std::path::Path;

use plotters::prelude::*;

use crate::measure::Table;

const SIZE: (u32, u32) = (720, 360);

pub fn write(table: &Table) -> Result<(), String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/streams.svg");
    draw(table, &path).map_err(|error| error.to_string())
}

fn draw(table: &Table, path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let rows = table.rows.len() as i32;
    let most = table.rows.iter().flat_map(|row| &row.cells).flatten().map(|c| c.share);
    let most = most.fold(1.0, f64::max) * 1.08;
    let mut chart = ChartBuilder::on(&root)
        .caption("Streams of 256 MiB in memory, bare AES-256-GCM = 1.00", ("sans-serif", 17))
        .margin(12)
        .x_label_area_size(30)
        .y_label_area_size(190)
        .build_cartesian_2d(0.0..most, (0..rows - 1).into_segmented())?;
    let names: Vec<_> = table.rows.iter().rev().map(|row| row.name).collect();
    chart
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(names.len())
        .y_label_formatter(&|y| match y {
            SegmentValue::CenterOf(i) => names.get(*i as usize).copied().unwrap_or("").to_owned(),
            _ => String::new(),
        })
        .x_label_formatter(&|x| format!("{x:.1}"))
        .draw()?;
    for (column, color) in [RGBColor(31, 93, 153), RGBColor(224, 142, 43)].iter().enumerate() {
        let name = table.columns.get(column).copied().unwrap_or("");
        let (above, below) = if column == 0 { (4, 26) } else { (26, 4) };
        let bars = table.rows.iter().rev().enumerate().filter_map(|(i, row)| {
            let share = row.cells.get(column)?.as_ref()?.share;
            let mut bar = Rectangle::new(
                [(0.0, SegmentValue::Exact(i as i32)), (share, SegmentValue::Exact(i as i32 + 1))],
                color.filled(),
            );
            bar.set_margin(above, below, 0, 0);
            Some(bar)
        });
        chart
            .draw_series(bars)?
            .label(name)
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], color.filled()));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE)
        .draw()?;
    root.present()?;
    Ok(())
}

//! Tables as docker's formatter lays them out: columns at least as wide as their widest cell plus three spaces,
//! the last one not padded.

use std::fmt::Write as _;

/// Rows of cells under a line of titles.
#[derive(Debug, Clone, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

/// Spaces between a column's widest cell and the next column.
const PADDING: usize = 3;
/// Narrowest column with its padding; docker's tabwriter has 10.
const MIN_WIDTH: usize = 10;

impl Table {
    /// A table with a line of titles; none for an empty list.
    pub fn new<S: Into<String>>(titles: impl IntoIterator<Item = S>) -> Self {
        let titles: Vec<String> = titles.into_iter().map(Into::into).collect();
        Self { rows: if titles.is_empty() { Vec::new() } else { vec![titles] } }
    }

    /// Adds a row.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// The text.
    #[must_use]
    pub fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|c| {
                let widest = self.rows.iter().filter_map(|r| r.get(c)).map(|s| s.chars().count()).max();
                (widest.unwrap_or(0) + PADDING).max(MIN_WIDTH)
            })
            .collect();
        let mut out = String::new();
        for row in &self.rows {
            for (c, cell) in row.iter().enumerate() {
                let last = c + 1 == row.len();
                let width = if last { 0 } else { widths[c] };
                let _ = write!(out, "{cell:width$}");
            }
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn columns_are_padded_as_dockers() {
        let mut t = Table::new(["CONTAINER ID", "IMAGE", "NAMES"]);
        t.row(["0123456789ab", "nginx", "c1"]);
        t.row(["0123456789ac", "a-long-image-name", ""]);
        assert_eq!(
            t.render(),
            "CONTAINER ID   IMAGE               NAMES\n\
             0123456789ab   nginx               c1\n\
             0123456789ac   a-long-image-name   \n"
        );
    }
}

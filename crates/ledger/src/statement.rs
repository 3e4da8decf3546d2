//! Statements over the rows of one commit, written once for both databases.
//!
//! In: a [`Statement`] and rows, each a tuple of [`Value`]s. To the statement they are a table called `rows` with the columns it
//! names, and with `place`, the number of the row. So the rows of one kind go over to the database together, which costs less
//! than most rows do, and as they are, without being read from a text again.

use std::borrow::Cow;
use std::fmt::Write;

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::error::BoxDynError;
use sqlx::{AnyConnection, Arguments};
use uuid::Uuid;

use crate::dialect::Dialect;

/// What neither database can keep in a text comes from outside all the same; this stands in its place.
const SYMBOL_FOR_NUL: &str = "\u{2400}";

/// More rows go over as several statements: both databases bound the number of values in one, the lower bound is SQLite's 32,766.
const MOST_ROWS: usize = 256;

/// A statement over rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Statement {
    /// The columns of `rows`, with commas, in the order of the fields of each row.
    pub(crate) columns: &'static str,
    pub(crate) text: &'static str,
}

impl Statement {
    /// As the database reads it, with a table of so many rows, of which those without a place are none.
    fn over(self, num_rows: usize, dialect: Dialect) -> String {
        let num_values = 1 + self.columns.split(',').count();
        let mut sql = format!("WITH rows (place, {}) AS (SELECT * FROM (VALUES ", self.columns);
        for row in 0..num_rows {
            for value in 0..num_values {
                sql.push_str(match (row, value) {
                    (0, 0) => "(",
                    (_, 0) => "), (",
                    _ => ", ",
                });
                // Nothing fails that is written into a text.
                let _ = match dialect.numbered_placeholder() {
                    Some(mark) => write!(sql, "{mark}{}", row * num_values + value + 1),
                    None => sql.write_char('?'),
                };
            }
        }
        sql.push_str(")) AS padded WHERE column1 IS NOT NULL) ");
        sql.push_str(self.text);
        sql
    }
}

/// How many rows a statement over so many is made for: a database keeps what it makes of a statement, and keeps few.
fn padded(num_rows: usize) -> usize {
    let power = num_rows.next_power_of_two();
    let between = power / 4 * 3;
    if between >= num_rows { between } else { power }
}

/// A connection and how it is spoken to.
pub(crate) struct Session<'a> {
    pub(crate) dialect: Dialect,
    pub(crate) connection: &'a mut AnyConnection,
}

impl Session<'_> {
    /// Runs a statement over rows; gives how many it changed. Without a row it is not run.
    pub(crate) async fn run<R: Fields>(&mut self, statement: Statement, rows: &[R]) -> sqlx::Result<u64> {
        let mut changed = 0;
        for rows in rows.chunks(MOST_ROWS) {
            let (sql, arguments) = bound(statement, rows, self.dialect)?;
            changed += sqlx::query_with(&sql, arguments).execute(&mut *self.connection).await?.rows_affected();
        }
        Ok(changed)
    }

    /// Runs a statement over rows; gives the rows that come back.
    pub(crate) async fn fetch<R: Fields>(&mut self, statement: Statement, rows: &[R]) -> sqlx::Result<Vec<AnyRow>> {
        let mut fetched = Vec::new();
        for rows in rows.chunks(MOST_ROWS) {
            let (sql, arguments) = bound(statement, rows, self.dialect)?;
            fetched.extend(sqlx::query_with(&sql, arguments).fetch_all(&mut *self.connection).await?);
        }
        Ok(fetched)
    }
}

/// The statement over these rows and as many as are missing to a number that it is made for, and their values.
fn bound<R: Fields>(statement: Statement, rows: &[R], dialect: Dialect) -> sqlx::Result<(String, AnyArguments<'_>)> {
    let num_rows = padded(rows.len());
    let mut arguments = AnyArguments::default();
    for (place, row) in (0_i64..).zip(rows) {
        arguments.add(place).and_then(|()| row.add(&mut arguments)).map_err(sqlx::Error::Encode)?;
    }
    for _ in rows.len()..num_rows {
        arguments.add(None::<i64>).and_then(|()| R::add_none(&mut arguments)).map_err(sqlx::Error::Encode)?;
    }
    Ok((statement.over(num_rows, dialect), arguments))
}

/// The fields of a row, in the order of its statement's columns.
pub(crate) trait Fields {
    fn add<'q>(&'q self, arguments: &mut AnyArguments<'q>) -> Result<(), BoxDynError>;

    /// NULL for each field: a database wants to know the type of what is not there.
    fn add_none(arguments: &mut AnyArguments<'_>) -> Result<(), BoxDynError>;
}

/// A value as both databases keep it.
pub(crate) trait Value {
    fn add<'q>(&'q self, arguments: &mut AnyArguments<'q>) -> Result<(), BoxDynError>;

    fn add_none(arguments: &mut AnyArguments<'_>) -> Result<(), BoxDynError>;
}

macro_rules! fields {
    ($($value:ident),+) => {
        #[allow(non_snake_case, reason = "a field is called as its type")]
        impl<$($value: Value),+> Fields for ($($value,)+) {
            fn add<'q>(&'q self, arguments: &mut AnyArguments<'q>) -> Result<(), BoxDynError> {
                let ($($value,)+) = self;
                $($value.add(arguments)?;)+
                Ok(())
            }

            fn add_none(arguments: &mut AnyArguments<'_>) -> Result<(), BoxDynError> {
                $($value::add_none(arguments)?;)+
                Ok(())
            }
        }
    };
}

fields!(A);
fields!(A, B);
fields!(A, B, C);
fields!(A, B, C, D);
fields!(A, B, C, D, E);
fields!(A, B, C, D, E, F);
fields!(A, B, C, D, E, F, G);
fields!(A, B, C, D, E, F, G, H, I);
fields!(A, B, C, D, E, F, G, H, I, J);

impl Value for str {
    fn add<'q>(&'q self, arguments: &mut AnyArguments<'q>) -> Result<(), BoxDynError> {
        match text(self) {
            Cow::Borrowed(text) => arguments.add(text),
            Cow::Owned(text) => arguments.add(text),
        }
    }

    fn add_none(arguments: &mut AnyArguments<'_>) -> Result<(), BoxDynError> {
        arguments.add(None::<String>)
    }
}

impl Value for String {
    fn add<'q>(&'q self, arguments: &mut AnyArguments<'q>) -> Result<(), BoxDynError> {
        self.as_str().add(arguments)
    }

    fn add_none(arguments: &mut AnyArguments<'_>) -> Result<(), BoxDynError> {
        str::add_none(arguments)
    }
}

impl Value for [u8] {
    fn add<'q>(&'q self, arguments: &mut AnyArguments<'q>) -> Result<(), BoxDynError> {
        arguments.add(self)
    }

    fn add_none(arguments: &mut AnyArguments<'_>) -> Result<(), BoxDynError> {
        arguments.add(None::<Vec<u8>>)
    }
}

impl Value for Vec<u8> {
    fn add<'q>(&'q self, arguments: &mut AnyArguments<'q>) -> Result<(), BoxDynError> {
        self.as_slice().add(arguments)
    }

    fn add_none(arguments: &mut AnyArguments<'_>) -> Result<(), BoxDynError> {
        <[u8]>::add_none(arguments)
    }
}

impl Value for Uuid {
    fn add<'q>(&'q self, arguments: &mut AnyArguments<'q>) -> Result<(), BoxDynError> {
        self.as_bytes().as_slice().add(arguments)
    }

    fn add_none(arguments: &mut AnyArguments<'_>) -> Result<(), BoxDynError> {
        <[u8]>::add_none(arguments)
    }
}

impl Value for i64 {
    fn add<'q>(&'q self, arguments: &mut AnyArguments<'q>) -> Result<(), BoxDynError> {
        arguments.add(*self)
    }

    fn add_none(arguments: &mut AnyArguments<'_>) -> Result<(), BoxDynError> {
        arguments.add(None::<i64>)
    }
}

/// What is not finite is not there: what one database makes of it, the other does not.
impl Value for f64 {
    fn add<'q>(&'q self, arguments: &mut AnyArguments<'q>) -> Result<(), BoxDynError> {
        if self.is_finite() { arguments.add(*self) } else { Self::add_none(arguments) }
    }

    /// sqlx takes the missing value of either width of float for that of the other, and a server wants the right one.
    fn add_none(arguments: &mut AnyArguments<'_>) -> Result<(), BoxDynError> {
        arguments.add(None::<f32>)
    }
}

impl<V: Value + ?Sized> Value for &V {
    fn add<'q>(&'q self, arguments: &mut AnyArguments<'q>) -> Result<(), BoxDynError> {
        (**self).add(arguments)
    }

    fn add_none(arguments: &mut AnyArguments<'_>) -> Result<(), BoxDynError> {
        V::add_none(arguments)
    }
}

impl<V: Value> Value for Option<V> {
    fn add<'q>(&'q self, arguments: &mut AnyArguments<'q>) -> Result<(), BoxDynError> {
        match self {
            Some(value) => value.add(arguments),
            None => V::add_none(arguments),
        }
    }

    fn add_none(arguments: &mut AnyArguments<'_>) -> Result<(), BoxDynError> {
        V::add_none(arguments)
    }
}

/// A text as both databases can keep it: NUL becomes its symbol.
pub(crate) fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', SYMBOL_FOR_NUL)) } else { Cow::Borrowed(text) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use sqlx::Row;

    use super::*;
    use crate::database::{Access, Database};

    const GIVE_BACK: Statement =
        Statement { columns: "number, said, bytes, share", text: "SELECT * FROM rows ORDER BY place" };

    #[test]
    fn a_statement_is_put_into_the_words_of_its_database() {
        let statement = Statement { columns: "a, b", text: "DELETE FROM t WHERE a IN (SELECT a FROM rows)" };
        let padded = "AS padded WHERE column1 IS NOT NULL) DELETE FROM t WHERE a IN (SELECT a FROM rows)";
        for (url, values) in [("sqlite:a.db", "(?, ?, ?), (?, ?, ?)"), ("postgres://db", "($1, $2, $3), ($4, $5, $6)")]
        {
            let statement = statement.over(2, Database::named(url).unwrap().dialect);
            assert_eq!(statement, format!("WITH rows (place, a, b) AS (SELECT * FROM (VALUES {values}) {padded}"));
        }
    }

    #[test]
    fn a_statement_is_made_for_few_numbers_of_rows_and_for_never_half_as_many_again() {
        let numbers: std::collections::BTreeSet<_> = (1..=MOST_ROWS).map(padded).collect();
        assert_eq!(numbers.len(), 16, "{numbers:?}");
        for rows in 1..=MOST_ROWS {
            assert!((rows..=rows + rows / 2).contains(&padded(rows)), "{rows}: {}", padded(rows));
        }
    }

    #[tokio::test]
    async fn every_row_comes_once_in_its_order_and_as_it_is_on_each_database() {
        let directory = tempfile::tempdir().unwrap();
        let file = format!("sqlite:{}", directory.path().join("ledger.db").display());
        let server = std::env::var("CUECARD_TEST_POSTGRES").ok();
        if server.is_none() {
            println!("PostgreSQL is left out: CUECARD_TEST_POSTGRES is not set");
        }
        for url in [Some(file), server].into_iter().flatten() {
            let database = Database::named(&url).unwrap();
            let mut connection = database.connect(Access::Create).await.unwrap();
            let mut session = Session { dialect: database.dialect, connection: &mut connection };
            for num_rows in [0, 1, 2, 3, 5, 13, 200, 256, 257, 600] {
                let rows: Vec<_> = (0..num_rows).map(|number| (number, "a\0b", vec![0, 255], 0.1)).collect();
                let fetched = session.fetch(GIVE_BACK, &rows).await.unwrap();
                let numbers: Vec<i64> = fetched.iter().map(|row| row.get(1)).collect();
                assert_eq!(numbers, (0..num_rows).collect::<Vec<_>>());
                for row in fetched {
                    assert_eq!(row.get::<String, _>(2), "a\u{2400}b");
                    assert_eq!((row.get::<Vec<u8>, _>(3), row.get::<f64, _>(4)), (vec![0, 255], 0.1));
                }
            }
            let nothing = (None::<i64>, None::<&str>, None::<Vec<u8>>, None::<f64>);
            for share in [f64::NAN, f64::INFINITY, 0.1] {
                let rows = [nothing.clone(), (Some(1), Some(""), Some(vec![]), Some(share))];
                let fetched = session.fetch(GIVE_BACK, &rows).await.unwrap();
                assert_eq!(fetched.len(), 2, "a row of which nothing is known is one");
                assert_eq!(fetched[0].get::<Option<String>, _>(2), None);
                let kept: Vec<Option<f64>> = fetched.iter().map(|row| row.get(4)).collect();
                assert_eq!(kept, [None, Some(share).filter(|share| share.is_finite())]);
            }
        }
    }
}

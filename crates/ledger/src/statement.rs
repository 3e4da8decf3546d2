//! Statements over the rows of one commit, written once for both databases.
//!
//! In: a [`Statement`] and rows, each a tuple of [`Value`]s. To the statement they are a table called `rows` with the columns it
//! names, and with `place`, the number of the row. All rows of one kind go over in one statement, since the way to the database and
//! back costs more than most rows; and as values, since a text of them would be read again for each row.

use std::borrow::Cow;
use std::fmt::Write;

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::error::BoxDynError;
use sqlx::{AnyConnection, Arguments};
use uuid::Uuid;

use crate::dialect::Dialect;

/// Stands in the place of NUL, which neither database can keep in a text.
const SYMBOL_FOR_NUL: &str = "\u{2400}";

/// As many as a commit has writes, so that only cards and snippets take more than one statement. Of ten values each they stay far
/// below the 32,766 values that SQLite takes.
const MOST_ROWS: usize = 256;

/// A statement over rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Statement {
    /// The columns of `rows`, with commas, in the order of the fields of each row.
    pub(crate) columns: &'static str,
    pub(crate) does: Does,
}

/// What is done with the rows.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Does {
    /// They are added to the table, whose columns are called as theirs.
    Insert {
        table: &'static str,
        /// What follows: their order, what becomes of a row that is there already, what comes back.
        then: &'static str,
    },
    /// Anything else, as a text.
    Run(&'static str),
}

impl Statement {
    /// How many values a row has, its place among them.
    fn num_values(self) -> usize {
        1 + self.columns.split(',').count()
    }

    /// As the database reads it, with a table of so many rows; those whose place is NULL only fill it up.
    fn over(self, num_rows: usize, dialect: Dialect) -> String {
        let (Self { columns, does }, num_values) = (self, self.num_values());
        let mut sql = format!("WITH rows (place, {columns}) AS (SELECT * FROM (VALUES ");
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
        let _ = match does {
            Does::Insert { table, then } => {
                write!(sql, "INSERT INTO {table} ({columns}) SELECT {columns} FROM rows WHERE TRUE {then}")
            }
            Does::Run(text) => sql.write_str(text),
        };
        sql
    }
}

/// A connection and how it is spoken to.
pub(crate) struct Session<'a> {
    pub(crate) dialect: Dialect,
    pub(crate) connection: &'a mut AnyConnection,
}

impl Session<'_> {
    /// Runs a statement over rows. Without a row it is not run.
    pub(crate) async fn run<R: Fields>(&mut self, statement: Statement, rows: &[R]) -> sqlx::Result<()> {
        for rows in rows.chunks(MOST_ROWS) {
            let (sql, arguments) = bound(statement, rows, self.dialect)?;
            sqlx::query_with(&sql, arguments).execute(&mut *self.connection).await?;
        }
        Ok(())
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

/// The statement over these rows, filled up to a power of two, and their values. sqlx keeps a hundred statements prepared: made for
/// each number of rows there would be too many.
fn bound<R: Fields>(statement: Statement, rows: &[R], dialect: Dialect) -> sqlx::Result<(String, AnyArguments<'_>)> {
    let num_rows = rows.len().next_power_of_two();
    let mut arguments = AnyArguments::default();
    for place in 0..num_rows {
        let row = rows.get(place);
        let place = row.and(i64::try_from(place).ok());
        arguments.add(place).and_then(|()| R::add(row, &mut arguments)).map_err(sqlx::Error::Encode)?;
    }
    let (told, wanted) = (arguments.len(), num_rows * statement.num_values());
    if told != wanted {
        // SQLite would take what is missing for NULL, and leave out what is too much.
        return Err(sqlx::Error::Encode(format!("{told} values for {wanted} of {}", statement.columns).into()));
    }
    Ok((statement.over(num_rows, dialect), arguments))
}

/// The fields of a row, in the order of its statement's columns.
pub(crate) trait Fields: Sized {
    /// Adds each field, or NULL for each where there is no row.
    fn add<'q>(row: Option<&'q Self>, arguments: &mut AnyArguments<'q>) -> Result<(), BoxDynError>;
}

/// A value as both databases keep it.
pub(crate) trait Value {
    /// Adds the value, or NULL: a database wants to know the type of what is not there.
    fn add<'q>(value: Option<&'q Self>, arguments: &mut AnyArguments<'q>) -> Result<(), BoxDynError>;
}

macro_rules! fields {
    ($($value:ident),+) => {
        #[allow(non_snake_case, reason = "a field is called as its type")]
        impl<$($value: Value),+> Fields for ($($value,)+) {
            fn add<'q>(row: Option<&'q Self>, arguments: &mut AnyArguments<'q>) -> Result<(), BoxDynError> {
                let ($($value,)+) = match row {
                    Some(($($value,)+)) => ($(Some($value),)+),
                    None => ($(None::<&'q $value>,)+),
                };
                $($value::add($value, arguments)?;)+
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
fields!(A, B, C, D, E, F, G, H);
fields!(A, B, C, D, E, F, G, H, I);
fields!(A, B, C, D, E, F, G, H, I, J);

impl Value for str {
    fn add<'q>(value: Option<&'q Self>, arguments: &mut AnyArguments<'q>) -> Result<(), BoxDynError> {
        match value.map(text) {
            Some(Cow::Owned(text)) => arguments.add(text),
            Some(Cow::Borrowed(text)) => arguments.add(text),
            None => arguments.add(None::<&str>),
        }
    }
}

impl Value for String {
    fn add<'q>(value: Option<&'q Self>, arguments: &mut AnyArguments<'q>) -> Result<(), BoxDynError> {
        str::add(value.map(String::as_str), arguments)
    }
}

impl Value for [u8] {
    fn add<'q>(value: Option<&'q Self>, arguments: &mut AnyArguments<'q>) -> Result<(), BoxDynError> {
        arguments.add(value)
    }
}

impl Value for Vec<u8> {
    fn add<'q>(value: Option<&'q Self>, arguments: &mut AnyArguments<'q>) -> Result<(), BoxDynError> {
        <[u8]>::add(value.map(Vec::as_slice), arguments)
    }
}

impl Value for Uuid {
    fn add<'q>(value: Option<&'q Self>, arguments: &mut AnyArguments<'q>) -> Result<(), BoxDynError> {
        <[u8]>::add(value.map(|id| id.as_bytes().as_slice()), arguments)
    }
}

impl Value for i64 {
    fn add<'q>(value: Option<&'q Self>, arguments: &mut AnyArguments<'q>) -> Result<(), BoxDynError> {
        arguments.add(value.copied())
    }
}

/// What is not finite is not there: what one database makes of it, the other does not.
impl Value for f64 {
    fn add<'q>(value: Option<&'q Self>, arguments: &mut AnyArguments<'q>) -> Result<(), BoxDynError> {
        match value.filter(|value| value.is_finite()) {
            Some(value) => arguments.add(*value),
            // sqlx 0.8.6 tells a missing f32 as one of eight bytes, and a missing f64 as one of four (transact-rs/sqlx#4359): a
            // server that has prepared a statement with the one refuses a whole value of the other.
            None => arguments.add(None::<f32>),
        }
    }
}

impl<V: Value + ?Sized> Value for &V {
    fn add<'q>(value: Option<&'q Self>, arguments: &mut AnyArguments<'q>) -> Result<(), BoxDynError> {
        V::add(value.map(|value| &**value), arguments)
    }
}

impl<V: Value> Value for Option<V> {
    fn add<'q>(value: Option<&'q Self>, arguments: &mut AnyArguments<'q>) -> Result<(), BoxDynError> {
        V::add(value.and_then(Option::as_ref), arguments)
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
        Statement { columns: "number, said, bytes, share", does: Does::Run("SELECT * FROM rows ORDER BY place") };

    #[test]
    fn a_statement_is_put_into_the_words_of_its_database() {
        let insert = Does::Insert { table: "t", then: "ORDER BY place" };
        let added = "INSERT INTO t (a, b) SELECT a, b FROM rows WHERE TRUE ORDER BY place";
        let delete = "DELETE FROM t WHERE a IN (SELECT a FROM rows)";
        for (does, text) in [(insert, added), (Does::Run(delete), delete)] {
            let statement = Statement { columns: "a, b", does };
            for (url, values) in
                [("sqlite:a.db", "(?, ?, ?), (?, ?, ?)"), ("postgres://db", "($1, $2, $3), ($4, $5, $6)")]
            {
                let rows = format!("SELECT * FROM (VALUES {values}) AS padded WHERE column1 IS NOT NULL");
                let statement = statement.over(2, Database::named(url).unwrap().dialect);
                assert_eq!(statement, format!("WITH rows (place, a, b) AS ({rows}) {text}"));
            }
        }
    }

    #[test]
    fn a_row_of_another_number_of_fields_is_refused() {
        let dialect = Database::named("sqlite:a.db").unwrap().dialect;
        let too_few = bound(GIVE_BACK, &[(1_i64, "a", 0.1)], dialect).map(drop);
        let too_many = bound(GIVE_BACK, &[(1_i64, "a", vec![0_u8], 0.1, 2_i64)], dialect).map(drop);
        for refused in [too_few, too_many] {
            assert!(matches!(refused, Err(sqlx::Error::Encode(_))), "{refused:?}");
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
            // First 200 rows, then 256: the same statement, at first with missing values at the end.
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

//! Deleting what nobody needs any more, and never a token that is not remembered.

use sqlx::{MySqlConnection, Row as _};

use super::super::dialect::Dialect as _;
use super::super::failure::Failure;
use super::text::Text;
use super::{MySql, micros};

impl MySql {
    /// Skips what others write or purge, so that any number of instances may purge at once. A claim in
    /// somebody's transaction keeps the floor as it is until that ends, so it is raised seldom: up to now,
    /// and before any record is locked.
    pub(super) async fn purge_some(
        &self,
        connection: &mut MySqlConnection,
    ) -> Result<u64, Failure> {
        let (highest, floor, now) = self.look_at_old(connection).await?;
        let Some(highest) = highest else { return Ok(0) };
        let mut reached = floor.ok_or_else(|| Failure::Corrupt("there is no floor".to_owned()))?;
        if highest > reached {
            reached = highest.max(now);
            let mut text = Text::default();
            self.begin(&mut text);
            text.add("update oncely_meta set value = greatest(value, ").value(reached);
            text.add(") where name = 'token_floor'; ");
            self.end(&mut text, "commit");
            text.send(connection).await?;
        }
        let mut text = Text::default();
        self.begin(&mut text);
        text.add("select `key` from oncely_records where purge_at <= @oncely_now div 1000");
        text.add(" and token <= ").value(reached).add(" order by purge_at limit ");
        text.value(Self::PURGED_AT_ONCE.cast_signed()).add(" for update skip locked");
        let old = text.send(connection).await?.rows;
        let mut text = Text::default();
        if !old.is_empty() {
            let keys = old.iter().map(|row| row.try_get::<&[u8], _>(0));
            text.add("delete from oncely_records where `key` in (");
            text.list(keys.collect::<Result<Vec<_>, _>>()?).add("); ");
        }
        self.end(&mut text, "commit");
        text.send(connection).await?;
        Ok(old.len() as u64)
    }

    /// The highest token of some of what may be deleted, if there is anything, the floor, and the time.
    async fn look_at_old(
        &self,
        connection: &mut MySqlConnection,
    ) -> Result<(Option<i64>, Option<i64>, i64), Failure> {
        let mut text = Text::default();
        text.add("select max(token), (select value from oncely_meta where name = 'token_floor'), ");
        text.add(micros!()).value(self.offset() * 1000);
        text.add(" from (select token from oncely_records where purge_at <= (").add(micros!());
        text.value(self.offset() * 1000).add(") div 1000 order by purge_at limit ");
        text.value(Self::PURGED_AT_ONCE.cast_signed()).add(") old");
        let rows = text.send(connection).await?.rows;
        let row = rows.first().ok_or_else(|| Failure::Corrupt("there is no time".to_owned()))?;
        Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
    }
}

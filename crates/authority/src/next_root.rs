//! A company that changes its root: clients are handed the new one beside the old, and only then may servers have a chain to it.

use time::OffsetDateTime;

use crate::authority::{Authority, AuthorityError};
use crate::endorsing::check_told_apart;
use crate::hierarchy::Hierarchy;
use crate::requested::RequestedError;

/// What became of a root that clients are to be handed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextRoot {
    /// They are handed it from now on.
    Handed,
    /// Servers' chains end in it already. Clients are handed no other one.
    Present,
}

impl Authority {
    /// Has whoever is handed a client's folder from now on know this root (DER) of the company's as well; a folder that does not
    /// have it is due. It takes the place of one that was handed before, unless a chain ends in that. The authority is open
    /// alone.
    ///
    /// # Errors
    /// The issuing CA is certified by nobody else, clients could not tell the root from the one that they have, or the ledger cannot be written.
    pub fn hand_next_root(
        &mut self,
        root: &[u8],
        now: OffsetDateTime,
    ) -> Result<NextRoot, RequestedError> {
        let Some((_, endorsement)) = self.hierarchy.endorsed(now) else {
            return Err(RequestedError::not_endorsed(self, now));
        };
        check_told_apart(&endorsement.chain, &[root])?;
        // The same root certified anew is handed as well: clients go by the end of the certificate that they have.
        let next = match root == endorsement.chain.root() {
            true => NextRoot::Present,
            false => NextRoot::Handed,
        };
        let handed = (next == NextRoot::Handed).then_some(root);
        if self.hierarchy.next_root(now) != handed {
            let set = self.ledger.set_next_root(handed);
            set.map_err(AuthorityError::from)?;
            let hierarchy = Hierarchy::of(&self.ledger);
            self.hierarchy = hierarchy.map_err(AuthorityError::from)?;
        }
        Ok(next)
    }
}

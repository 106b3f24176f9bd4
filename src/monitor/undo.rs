//! A stack of named undo steps: pushed when something is done, run in reverse when it must not stay. Running
//! goes to the end whatever fails, and returns every trouble.

/// One thing to undo.
struct Step<C> {
    name: &'static str,
    undo: fn(&mut C) -> Result<(), String>,
}

/// The stack. `C` is what the steps work on.
pub struct Undo<C> {
    steps: Vec<Step<C>>,
}

impl<C> Default for Undo<C> {
    fn default() -> Self {
        Self { steps: Vec::new() }
    }
}

impl<C> std::fmt::Debug for Undo<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.steps.iter().map(|s| s.name)).finish()
    }
}

impl<C> Undo<C> {
    /// Registers how to undo what was just done (or is about to be, where it can be half done).
    pub fn push(&mut self, name: &'static str, undo: fn(&mut C) -> Result<(), String>) {
        self.steps.push(Step { name, undo });
    }

    /// Takes a step off the stack without running it: what it would undo is to stay.
    pub fn forget(&mut self, name: &str) {
        self.steps.retain(|step| step.name != name);
    }

    /// How many steps are registered: a mark for [`Undo::unwind_to`].
    #[must_use]
    pub fn mark(&self) -> usize {
        self.steps.len()
    }

    /// Undoes everything above the mark, last first. Returns `name: trouble` of each step that failed.
    pub fn unwind_to(&mut self, context: &mut C, mark: usize) -> Vec<String> {
        self.unwind_watched(context, mark, |_, _| {})
    }

    /// [`Undo::unwind_to`] that calls `done` after each step with its name.
    pub fn unwind_watched(
        &mut self,
        context: &mut C,
        mark: usize,
        done: impl Fn(&C, &'static str),
    ) -> Vec<String> {
        let mut troubles = Vec::new();
        while self.steps.len() > mark {
            let Some(step) = self.steps.pop() else { break };
            if let Err(trouble) = (step.undo)(context) {
                troubles.push(format!("{}: {trouble}", step.name));
            }
            done(context, step.name);
        }
        troubles
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_in_reverse_to_the_end() {
        let mut undo = Undo::<Vec<&str>>::default();
        undo.push("a", |done| {
            done.push("a");
            Ok(())
        });
        undo.push("b", |done| {
            done.push("b");
            Err("stuck".to_owned())
        });
        let mark = undo.mark();
        undo.push("c", |done| {
            done.push("c");
            Ok(())
        });
        let mut done = Vec::new();
        assert!(undo.unwind_to(&mut done, mark).is_empty());
        assert_eq!(done, ["c"]);
        assert_eq!(undo.unwind_to(&mut done, 0), ["b: stuck"]);
        assert_eq!(done, ["c", "b", "a"]);
        assert!(undo.unwind_to(&mut done, 0).is_empty());
    }
}

"""`Trainer.push_to_hub` as `s2i push` does it: a finished run in one commit.

The stock method uploads the output folder as it lies there, with its checkpoints and the paths of this machine, and writes a card of its
own over the one of the run.
"""

from __future__ import annotations

from typing import Any

from transformers import Trainer

from ..hub.model_card import write_card
from ..hub.push import publish_run
from ..runs.provenance import write_environment


class PushesRuns(Trainer):
    """A Trainer whose `arguments` have a `run_dir`, which is what it pushes."""

    arguments: Any

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """The card of the run folder, from the files in it."""
        if self.is_world_process_zero():
            write_card(self.arguments.run_dir)

    def push_to_hub(
        self,
        commit_message: str | None = None,
        blocking: bool = True,
        token: str | None = None,
        revision: str | None = None,
        private: bool | None = None,
        **_: Any,
    ) -> Any:
        """Push the run folder in one commit: what others need, and no checkpoint and no path of this machine.

        Args:
            commit_message: Of the commit.
            blocking: Must be true: the upload is looked at when it is over.
            token: Of the Hub; `args.hub_token`, or the one of this machine if None.
            revision: Branch; `args.hub_revision`, or main.
            private: Whether a new repository is private, and a public one is refused; `args.hub_private_repo`, or true.

        Returns:
            Address of the commit; None in a process that is not the main one.

        Raises:
            ValueError: `blocking` is false, nobody said which repository, or what `publishing.publish_run` raises.
        """
        if not blocking:
            raise ValueError("blocking=False is not supported; push_to_hub returns when the upload is complete.")
        args, run_dir = self.args, self.arguments.run_dir
        repository = args.hub_model_id or self.arguments.push_to_hub
        if not repository:
            raise ValueError("no repository is named; pass hub_model_id='user/name' in TrainingArguments.")
        self.save_model(str(run_dir), _internal_call=True)  # by all processes, as weights may be spread over them
        if not self.is_world_process_zero():
            return None
        write_environment(run_dir)
        self.create_model_card()
        return publish_run(
            run_dir, repository, private=args.hub_private_repo is not False if private is None else private,
            branch=revision if revision is not None else args.hub_revision, message=commit_message,
            token=token if token is not None else args.hub_token,
        )  # fmt: skip

    def init_hf_repo(self, *_: Any, **__: Any) -> None:
        """Nothing before there is something to push: `push_to_hub` makes the repository."""

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        """Nothing: what is pushed is a run, and checkpoints hold what belongs to this machine."""

    def _finish_current_push(self) -> None:
        """Nothing: no push goes on beside the training."""

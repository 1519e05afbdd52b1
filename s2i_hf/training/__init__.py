"""Pretraining by accelerate, fine-tuning by Trainer, and what both share."""

from .. import lazy_names

__getattr__, __all__ = lazy_names(
    __name__,
    {
        "finetune_arguments": "FinetuneArguments",
        "finetuning": "finetune",
        "pretrain_arguments": "DiffMAEArguments PretrainArguments",
        "pretraining": "pretrain",
        "trainer": "SkeletonTrainer",
    },
)

"""Pretraining by accelerate, fine-tuning by Trainer, and what both share."""

from .. import lazy_names

__getattr__, __all__ = lazy_names(
    __name__,
    {
        "DiffMAEArguments": "pretrain_arguments",
        "FinetuneArguments": "finetune_arguments",
        "PretrainArguments": "pretrain_arguments",
        "SkeletonTrainer": "trainer",
        "finetune": "finetuning",
        "pretrain": "pretraining",
    },
)

"""Models: stock ViTMAE with proper positions. Only what transformers does not have is defined here."""

from .. import lazy_names

__getattr__, __all__ = lazy_names(
    __name__,
    {
        "backbones": "load_backbone",
        "building": "build_diffmae build_mae encoder_of",
        "classification": "build_classifier",
        "configuration_diffmae": "DiffMAEConfig",
        "configuration_pooled_vit": "PooledBackboneConfig PooledViTConfig",
        "layerwise": "lr_groups set_drop_path",
        "modeling_diffmae": "DiffMAEForPreTraining DiffMAEModel",
        "modeling_pooled_vit": "PooledBackboneForImageClassification PooledViTForImageClassification",
        "saved_models": "open_classifier processor_for",
        "scheduling_diffmae": "NoiseSchedule",
    },
)

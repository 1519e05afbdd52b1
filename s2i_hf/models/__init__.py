"""Models: stock ViTMAE with proper positions. Only what transformers does not have is defined here."""

from .. import lazy_names

__getattr__, __all__ = lazy_names(
    __name__,
    {
        "DiffMAEConfig": "configuration_diffmae",
        "DiffMAEForPreTraining": "modeling_diffmae",
        "DiffMAEModel": "modeling_diffmae",
        "NoiseSchedule": "scheduling_diffmae",
        "PooledBackboneConfig": "configuration_pooled_vit",
        "PooledBackboneForImageClassification": "modeling_pooled_vit",
        "PooledViTConfig": "configuration_pooled_vit",
        "PooledViTForImageClassification": "modeling_pooled_vit",
        "build_classifier": "classification",
        "build_diffmae": "building",
        "build_mae": "building",
        "encoder_of": "building",
        "load_backbone": "backbones",
        "lr_groups": "layerwise",
        "open_classifier": "saved_models",
        "processor_for": "saved_models",
        "set_drop_path": "layerwise",
    },
)

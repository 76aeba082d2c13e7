"""KonIQ-10k in its official layout and split, with CLIP's normalisation: whole images to score."""

_base_ = ["koniq.py"]

img_norm_cfg = dict(
    mean=[0.48145466, 0.4578275, 0.40821073], std=[0.26862954, 0.26130258, 0.27577711]
)

train_pipeline = [
    dict(type="Resize", size=384),  # the short side: 1024 x 768 becomes 512 x 384
    dict(type="RandomCrop", size=224),
    dict(type="RandomHorizontalFlip", p=0.5),
    dict(type="ToTensor"),
    dict(type="Normalize", **img_norm_cfg),
]
test_pipeline = [
    dict(type="Resize", size=384),
    dict(type="ToTensor"),
    dict(type="Normalize", **img_norm_cfg),
]
scenario = dict(train_transform=train_pipeline, eval_transform=test_pipeline, patches_per_image=3)

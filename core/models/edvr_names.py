"""EDVR's parts by the names of its authors' first repository, which checkpoints of 2019 are written in.

Source: github.com/xinntao/EDVR (Apache-2.0); compared with the converter of github.com/XPixelGroup/BasicSR, whose names
are today's.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from torch import Tensor

from core.models.names import by_rules, renamed

# Old name to today's, in this order.
RULES: tuple[tuple[str, str], ...] = (
    (r"^recon_trunk\.", "reconstruction."),
    (r"^fea_L(\d)_conv(\d)\.", r"conv_l\1_\2."),
    (r"^pcd_align\.L(\d)_offset_conv(\d)\.", r"pcd_align.offset_conv\2.l\1."),
    (r"^pcd_align\.L(\d)_fea_conv\.", r"pcd_align.feat_conv.l\1."),
    (r"^pcd_align\.L(\d)_dcnpack\.", r"pcd_align.dcn_pack.l\1."),
    (r"^(pcd_align\..+)\.conv_offset_mask\.", r"\1.conv_offset."),
    # The one that is applied to the reference is the second there and the first here.
    (r"^tsa_fusion\.tAtt_2\.", "fusion.temporal_attn1."),
    (r"^tsa_fusion\.tAtt_1\.", "fusion.temporal_attn2."),
    (r"^tsa_fusion\.fea_fusion\.", "fusion.feat_fusion."),
    (r"^tsa_fusion\.sAtt_(\d)\.", r"fusion.spatial_attn\1."),
    (r"^tsa_fusion\.sAtt_add_(\d)\.", r"fusion.spatial_attn_add\1."),
    (r"^tsa_fusion\.sAtt_L(\d)\.", r"fusion.spatial_attn_l\1."),
    (r"^tsa_fusion\.(weight|bias)$", r"fusion.\1"),  # without attention it is one convolution
    (r"^HRconv\.", "conv_hr."),
    (r"^pre_deblur\.conv_first(_1)?\.", "predeblur.conv_first."),
    (r"^pre_deblur\.conv_first_2\.", "predeblur.stride_conv_hr1."),
    (r"^pre_deblur\.conv_first_3\.", "predeblur.stride_conv_hr2."),
    (r"^pre_deblur\.deblur_L(\d)_conv\.", r"predeblur.stride_conv_l\1."),
    *((rf"^pre_deblur\.RB_L1_{n}\.", f"predeblur.resblock_l1.{n - 1}.") for n in range(1, 6)),  # counted from 1 there
    (r"^pre_deblur\.RB_L2_(\d)\.", r"predeblur.resblock_l2_\1."),
    (r"^pre_deblur\.RB_L3_1\.", "predeblur.resblock_l3."),
)


def in_todays_names(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A checkpoint's table in today's names, whichever of the two dialects it is written in.

    Args:
        published: name to tensor; left as it is

    Raises:
        WeightsError: two names mean the same part.
    """
    return renamed(published, partial(by_rules, rules=RULES), mixed="two dialects of EDVR")

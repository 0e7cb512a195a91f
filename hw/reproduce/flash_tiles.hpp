#pragma once

namespace moecarlo::hw {

/// Flash dies that multiply, behind channels (Cambricon-LLM, arXiv 2409.15654).
struct FlashArray {
  double channels = 1, cores_per_channel = 1;
  double page_bytes = 0, page_seconds = 0;  ///< tR
  double channel_bytes = 0;                 ///< a second, of one channel
  double weight_bytes = 1, activation_bytes = 1;
};

/// How its tiles divide a matrix. A tile is one page of weights from every core of a channel, H rows by W / channels
/// columns such that the fewest activations cross: H = sqrt(cores x page), W = channels x H, in weights.
struct FlashTiles {
  double rows = 0, columns = 0;  ///< H, W
  double moved_bytes = 0;        ///< activations of one tile over all channels: in to each channel, and out
  double tile_seconds = 0;       ///< t_rc: the page, then inputs over each channel
  double channel_share = 0;      ///< of a channel's time that activations of the cores take
  double inside_bytes = 0;       ///< weights a second that all cores multiply
  double outside_bytes = 0;      ///< weights a second that all channels carry in their gaps
  double share_inside = 0;       ///< alpha: of the weights, where both end together
  double bytes() const { return inside_bytes + outside_bytes; }  ///< weights a second
};
FlashTiles flash_tiles(const FlashArray& array);

}  // namespace moecarlo::hw

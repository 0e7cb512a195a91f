#include "hw/reproduce/flash_tiles.hpp"

#include <cmath>

namespace moecarlo::hw {

FlashTiles flash_tiles(const FlashArray& array) {
  const double tile_bytes = array.cores_per_channel * array.page_bytes;  // of one channel
  FlashTiles tiles;
  tiles.rows = std::sqrt(tile_bytes / array.weight_bytes);
  tiles.columns = array.channels * tiles.rows;
  const double inputs = tiles.columns / array.channels * array.activation_bytes;  // of one channel
  const double outputs = tiles.rows * array.activation_bytes;
  tiles.moved_bytes = array.channels * (inputs + outputs);
  tiles.tile_seconds = array.page_seconds + inputs / array.channel_bytes;
  tiles.channel_share = (inputs + outputs) / (array.page_seconds * array.channel_bytes);
  tiles.inside_bytes = array.channels * tile_bytes / tiles.tile_seconds;
  tiles.outside_bytes = array.channels * (1 - tiles.channel_share) * array.channel_bytes;
  const double read_seconds = tile_bytes / ((1 - tiles.channel_share) * array.channel_bytes);  // t_r
  tiles.share_inside = read_seconds / (read_seconds + tiles.tile_seconds);
  return tiles;
}

}  // namespace moecarlo::hw

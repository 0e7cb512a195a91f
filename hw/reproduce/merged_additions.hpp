#pragma once

namespace moecarlo::hw {

/// Expected additions of one bit plane in a group of rows where inputs of equal columns are added up once and each row
/// then adds the sums that it is part of (MCBP, arXiv 2509.10372, BRCR), bits set independently with this chance. The
/// paper's closed form, columns * set bits + rows * 2^(rows - 1), counts bits that are set where it needs columns that
/// hold any: at 0.3 these are 0.76.
double merged_additions(double set_share, int rows, double columns);

/// The same, every set bit added by itself.
double set_additions(double set_share, int rows, double columns);

}  // namespace moecarlo::hw

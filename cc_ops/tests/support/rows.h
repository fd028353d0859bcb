// A kernel set's view of x: a table of pointers, one per tap and pixel, to rows that each touch an unmapped page.
#ifndef KERAS_BNN_TESTS_SUPPORT_ROWS_H_
#define KERAS_BNN_TESTS_SUPPORT_ROWS_H_

#include <utility>
#include <vector>

#include "support/guarded_array.h"

namespace keras_bnn {

template <typename X>
class Rows {
 public:
  // `rows` is [tap][pixel], each a row of x.
  Rows(const std::vector<std::vector<X>>& rows, Edge edge) : table_(rows.size(), edge) {
    for (std::size_t i = 0; i < rows.size(); ++i) {
      rows_.emplace_back(rows[i], edge);
      table_[i] = rows_.back().data();
    }
  }

  const X* const* table() const { return table_.data(); }

 private:
  std::vector<GuardedArray<X>> rows_;
  GuardedArray<const X*> table_;
};

}  // namespace keras_bnn

#endif  // KERAS_BNN_TESTS_SUPPORT_ROWS_H_

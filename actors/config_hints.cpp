#include "actnet/actors/config_hints.hpp"

#include "actnet/actors/config_keys.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

namespace actnet::detail {

namespace {

/// Bytes to change, insert or leave out (Levenshtein).
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j)
    row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    auto diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const auto changed = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

/// How far somebody who wrote `found` is from `known`; a slip changes less than half of it. Nothing for what is none.
std::optional<std::size_t> slip(std::string_view found, std::string_view known) {
  if (found.size() >= 3 && known.starts_with(found))
    return 1; // the rest was left out
  if (found.size() > 2 * known.size())
    return std::nullopt;
  const auto far = distance(found, known);
  return far <= known.size() / 2 ? std::optional{far} : std::nullopt;
}

std::vector<std::string_view> names_of_tables() {
  std::vector<std::string_view> names;
  for (const auto& key : config_keys())
    if (names.empty() || names.back() != key.table)
      names.push_back(key.table);
  return names;
}

std::vector<std::string_view> names_in(std::string_view table) {
  std::vector<std::string_view> names;
  for (const auto& key : config_keys())
    if (key.table == table)
      names.push_back(key.name);
  return names;
}

std::string list(const std::vector<std::string_view>& names) {
  std::string text;
  for (const auto name : names)
    text += (text.empty() ? "" : ", ") + std::string{name};
  return text;
}

} // namespace

std::string unknown_key(std::string_view table, std::string_view name) {
  const config_key* best = nullptr;
  std::size_t best_cost = 0;
  for (const auto& key : config_keys()) {
    const auto far = slip(name, key.name);
    const auto cost = 2 * far.value_or(0) + (key.table != table ? 1 : 0);
    if (far && (!best || cost < best_cost)) {
      best = &key;
      best_cost = cost;
    }
  }
  if (best)
    return "unknown key, the nearest is " + best->path();
  return table.empty() ? "unknown key, the tables are " + list(names_of_tables())
                       : "unknown key, those of " + std::string{table} + " are " + list(names_in(table));
}

std::string unknown_table(std::string_view name) {
  const auto tables = names_of_tables();
  const auto cost = [name](std::string_view known) {
    return slip(name, known).value_or(std::numeric_limits<std::size_t>::max());
  };
  const auto best = std::ranges::min_element(tables, {}, cost);
  return slip(name, *best) ? "unknown table, the nearest is " + std::string{*best}
                           : "unknown table, the tables are " + list(tables);
}

} // namespace actnet::detail

// What to say of a name in a configuration file that is unknown: what somebody may have meant.
#pragma once

#include <string>
#include <string_view>

namespace actnet::detail {

/// Of a key, with the nearest of all tables, or those of its own if none is near. `table` is empty outside of tables.
std::string unknown_key(std::string_view table, std::string_view name);

/// Of a table, with the nearest, or all if none is near.
std::string unknown_table(std::string_view name);

} // namespace actnet::detail

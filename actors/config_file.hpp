// Reads a configuration file in TOML (toml.io) into settings. config/default.toml shows every key there is.
#pragma once

#include "actnet/actors/settings.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace actnet {

/// One thing that is wrong in a configuration file.
struct config_mistake {
  std::string file;
  std::size_t line = 0; ///< From 1; 0: the file as a whole.
  std::string key;      ///< With its table: `connection.write_low`. Empty: the file is no TOML there.
  std::string what;     ///< What was found and what is expected.

  bool operator==(const config_mistake&) const = default;
};

/// `FILE:LINE: KEY: what`, without what it does not have. One line, whatever the file holds.
std::string to_string(const config_mistake& mistake);

/// Changes in `to` what the file names and returns nothing; or returns all of the file's mistakes in the order of its
/// lines, and `to` stays as it was. Keys that the code alone decides (what handlers run on, socket options, half-open
/// connections) are not in files.
std::vector<config_mistake> read_config_file(const std::string& path, settings& to);

/// The same for the text of a file that mistakes call `file`.
std::vector<config_mistake> read_config_text(std::string_view text, const std::string& file, settings& to);

} // namespace actnet

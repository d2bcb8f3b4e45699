// The arrows between the layers point one way: apps -> actors -> net, and CAF begins with actors. CAF lies in the
// system's include folder, so the build cannot hold that line; this test reads the includes.
#include "support/catch.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>

namespace {

namespace fs = std::filesystem;

struct layer {
  std::string_view name; ///< First folder of an include path.
  int height;            ///< A file includes only what stands as high as itself or lower.
};

constexpr std::array layers{layer{"net", 0}, layer{"caf", 1}, layer{"actors", 1}, layer{"apps", 2}, layer{"tests", 3}};

std::optional<layer> layer_of(const fs::path& path) {
  if (path.empty())
    return std::nullopt;
  auto first = path.begin();
  if (*first == "actnet" && ++first == path.end())
    return std::nullopt;
  const auto found = std::ranges::find(layers, first->stem().string(), &layer::name);
  return found == layers.end() ? std::nullopt : std::optional(*found);
}

/// What the line includes: "net/if.h" for `# include <net/if.h>`.
std::optional<fs::path> included_by(std::string_view line) {
  const auto skip_blanks = [&] { line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size())); };
  for (const std::string_view word : {"#", "include"}) {
    skip_blanks();
    if (!line.starts_with(word))
      return std::nullopt;
    line.remove_prefix(word.size());
  }
  skip_blanks();
  if (!line.starts_with('<') && !line.starts_with('"'))
    return std::nullopt;
  line.remove_prefix(1);
  return fs::path(line.substr(0, line.find_first_of(">\"")));
}

/// Says "net/x.hpp:3: ..." for each include in `source` that points upwards. `file` is relative to the root.
std::string upward_includes(const fs::path& root, const fs::path& file, std::istream& source) {
  std::string report;
  std::string line;
  for (int number = 1; std::getline(source, line); ++number) {
    auto target = included_by(line);
    if (!target)
      continue;
    const fs::path neighbour = (file.parent_path() / *target).lexically_normal();
    if (fs::exists(root / neighbour)) // "x.hpp" or "../x.hpp"
      target = neighbour;
    const auto from = layer_of(file);
    const auto to = layer_of(*target);
    if (from && to && to->height > from->height)
      report += file.string() + ":" + std::to_string(number) + ": " + std::string(from->name) + "/ must not include " +
                std::string(to->name) + ": " + line + "\n";
  }
  return report;
}

std::string upward_includes(std::string_view file, const std::string& text) {
  std::istringstream source(text);
  return upward_includes(ACTNET_SOURCE_DIR, file, source);
}

bool is_source(const fs::directory_entry& entry) {
  const auto extension = entry.path().extension();
  return entry.is_regular_file() && (extension == ".hpp" || extension == ".cpp");
}

} // namespace

TEST_CASE("no include points from a lower layer to a higher one", "[layers]") {
  const fs::path root = ACTNET_SOURCE_DIR;
  std::string report;
  int files = 0;
  for (const char* folder : {"net", "actors", "apps"}) {
    if (!fs::exists(root / folder))
      continue;
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      if (!is_source(entry))
        continue;
      ++files;
      std::ifstream source(entry.path());
      report += upward_includes(root, fs::relative(entry.path(), root), source);
    }
  }
  INFO(report);
  CHECK(report.empty());
  CHECK(files > 0);
}

TEST_CASE("an include that points upwards is named with its file and line", "[layers]") {
  CHECK(upward_includes("net/a.hpp", "#pragma once\n#include <caf/actor.hpp>\n") ==
        "net/a.hpp:2: net/ must not include caf: #include <caf/actor.hpp>\n");
  CHECK_FALSE(upward_includes("net/a.cpp", "  #  include \"actnet/actors/main.hpp\" // why\n").empty());
  CHECK_FALSE(upward_includes("net/a.cpp", "#include <actnet/actors.hpp>\n").empty());
  CHECK_FALSE(upward_includes("actors/a.cpp", "#include \"actnet/apps/echo.hpp\"\n").empty());
  CHECK_FALSE(upward_includes("apps/a.cpp", "#include \"actnet/tests/support/catch.hpp\"\n").empty());
  CHECK_FALSE(upward_includes("net/socket/a.cpp", "#include \"../../tests/layers.cpp\"\n").empty());
}

TEST_CASE("includes downwards, sideways and of the system are allowed", "[layers]") {
  CHECK(upward_includes("actors/a.cpp", "#include <caf/actor.hpp>\n#include \"actnet/net/error.hpp\"\n").empty());
  CHECK(upward_includes("apps/a.cpp", "#include <actnet/actors/main.hpp>\n#include <actnet/net/error.hpp>\n").empty());
  CHECK(upward_includes("net/a.cpp", "#include <net/if.h>\n#include <vector>\n#include \"error.hpp\"\n").empty());
}

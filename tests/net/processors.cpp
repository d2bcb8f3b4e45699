// How many processors there are to use: by affinity, and by the quotas of cgroups as their files tell them.
#include "actnet/net/processors.hpp"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "actnet/net/socket/system_calls.hpp"
#include "support/catch.hpp"
#include "support/scratch_folder.hpp"

using namespace actnet::net;
using actnet::test::scratch_folder;

namespace {

/// A machine with `count` processors, whose kernel has room for `possible` of them.
class large_machine final : public system_calls {
 public:
  large_machine(std::size_t count, std::size_t possible) : count_(count), possible_(possible) {}

  int sched_getaffinity(pid_t, std::size_t size, cpu_set_t* set) noexcept override {
    if (size * 8 < possible_) {
      errno = EINVAL;
      return -1;
    }
    std::memset(set, 0, size);
    for (std::size_t i = 0; i < count_; ++i)
      CPU_SET_S(i, size, set);
    return 0;
  }

 private:
  const std::size_t count_;
  const std::size_t possible_;
  const replaced_system_calls in_force_{*this};
};

/// The files that tell of cgroups, below a folder.
class machine_files {
 public:
  std::string root() const { return folder_ / ""; }

  void put(const std::string& path, const std::string& content) {
    const std::filesystem::path whole = root() + path;
    std::filesystem::create_directories(whole.parent_path());
    std::ofstream(whole) << content;
  }

  /// Of version 2, as systemd mounts it; `group` is that of the process, `seen` what is at the mount point.
  void mount_v2(const std::string& group, const std::string& seen = "/") {
    put("/proc/self/mountinfo", "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
                                "30 22 0:26 " +
                                    seen +
                                    " /sys/fs/cgroup rw,nosuid shared:4 master:1 - cgroup2 cgroup2 rw,nsdelegate\n");
    put("/proc/self/cgroup", "0::" + group + "\n");
  }

 private:
  scratch_folder folder_;
};

} // namespace

TEST_CASE("without a quota there are as many processors as the affinity allows, at least one", "[processors]") {
  const machine_files files;
  CHECK(usable_processors() >= 1);
  cpu_set_t set;
  REQUIRE(::sched_getaffinity(0, sizeof set, &set) == 0);
  CHECK(usable_processors(files.root()) == static_cast<std::size_t>(CPU_COUNT(&set)));
}

TEST_CASE("a machine may have more than 1,024 processors, and a kernel room for more than there are", "[processors]") {
  const machine_files files;
  const std::size_t count = GENERATE(3, 1'024, 1'025, 5'000);
  const std::size_t possible = GENERATE(8, 1'024, 8'192);
  if (count > possible)
    return;
  const large_machine machine(count, possible);
  CHECK(usable_processors(files.root()) == count);
}

TEST_CASE("a quota of cgroups of version 2 counts, rounded up", "[processors]") {
  const large_machine machine(16, 64);
  machine_files files;
  files.mount_v2("/user.slice/my.service");
  const auto with = [&](const std::string& quota) {
    files.put("/sys/fs/cgroup/user.slice/my.service/cpu.max", quota + "\n");
    return usable_processors(files.root());
  };
  CHECK(with("max 100000") == 16);
  CHECK(with("200000 100000") == 2);
  CHECK(with("200001 100000") == 3);
  CHECK(with("5000 100000") == 1);
  CHECK(with("9000000 100000") == 16);
  CHECK(with("100000 50000") == 2);
  CHECK(with("") == 16);
  CHECK(with("nonsense") == 16);
  CHECK(with("-1 100000") == 16);
  CHECK(with("100000 0") == 16);
}

TEST_CASE("the least quota counts of all groups above a process that can be seen", "[processors]") {
  const large_machine machine(16, 64);
  machine_files files;
  files.mount_v2("/a/b/c");
  files.put("/sys/fs/cgroup/a/b/c/cpu.max", "800000 100000\n");
  CHECK(usable_processors(files.root()) == 8);
  files.put("/sys/fs/cgroup/a/cpu.max", "300000 100000\n");
  CHECK(usable_processors(files.root()) == 3);
  files.put("/sys/fs/cgroup/cpu.max", "200000 100000\n"); // of a container, whose root is a group outside
  CHECK(usable_processors(files.root()) == 2);
  files.put("/sys/fs/cpu.max", "100000 100000\n");
  CHECK(usable_processors(files.root()) == 2);
}

TEST_CASE("in a container that sees the paths from outside, its own group is at the mount point", "[processors]") {
  const large_machine machine(16, 64);
  machine_files files;
  files.put("/sys/fs/cgroup/cpu.max", "400000 100000\n");
  files.put("/sys/fs/cgroup/inner/cpu.max", "300000 100000\n");
  SECTION("exactly") {
    files.mount_v2("/docker/abc", "/docker/abc");
    CHECK(usable_processors(files.root()) == 4);
  }
  SECTION("or below it") {
    files.mount_v2("/docker/abc/inner", "/docker/abc");
    CHECK(usable_processors(files.root()) == 3);
  }
  SECTION("also when the process was moved out of it") {
    files.mount_v2("/../elsewhere");
    CHECK(usable_processors(files.root()) == 4);
  }
  SECTION("or is in one that cannot be seen") {
    files.mount_v2("/elsewhere", "/docker/abc");
    CHECK(usable_processors(files.root()) == 4);
  }
}

TEST_CASE("a quota of cgroups of version 1 counts, where the hierarchy of processor time is", "[processors]") {
  const large_machine machine(16, 64);
  machine_files files;
  files.put("/proc/self/mountinfo", "25 22 0:21 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n"
                                    "30 25 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
                                    "31 25 0:27 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
                                    "32 25 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n");
  files.put("/proc/self/cgroup", "5:cpuset:/\n4:cpuacct,cpu:/jobs/one\n1:name=systemd:/jobs\n0::/jobs\n");
  const std::string group = "/sys/fs/cgroup/cpu,cpuacct/jobs/one/";
  files.put(group + "cpu.cfs_quota_us", "-1\n");
  files.put(group + "cpu.cfs_period_us", "100000\n");
  files.put("/sys/fs/cgroup/cpuset/cpu.cfs_quota_us", "100000\n");
  files.put("/sys/fs/cgroup/cpuset/cpu.cfs_period_us", "100000\n");
  CHECK(usable_processors(files.root()) == 16);
  files.put(group + "cpu.cfs_quota_us", "250000\n");
  CHECK(usable_processors(files.root()) == 3);
  files.put("/sys/fs/cgroup/cpu,cpuacct/jobs/cpu.cfs_quota_us", "200000\n");
  files.put("/sys/fs/cgroup/cpu,cpuacct/jobs/cpu.cfs_period_us", "100000\n");
  CHECK(usable_processors(files.root()) == 2);
}

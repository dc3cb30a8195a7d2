// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/random.hpp"
#include "training/host/file_system.hpp"

#include <cerrno>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace dunlin::testing {

/// Files in memory that know what would survive a loss of power. Every operation has a number; it can be made to
/// fail (with a short write first, where it writes), or to be the last one before the power goes.
class SimulatedFiles final : public FileSystem {
public:
    explicit SimulatedFiles(std::uint64_t seed) : random_(seed, 0, Purpose::tasks) {}

    std::uint64_t operations() const { return operations_; }
    /// Of the operations still to come, this one fails with the error, 1 being the next; 0: none.
    void fail_at(std::uint64_t operation, int error = ENOSPC) {
        fail_at_ = operation == 0 ? 0 : operations_ + operation;
        error_ = error;
    }
    /// Every operation fails until this is called with 0.
    void fail_all(int error) { fail_all_ = error; }
    void lose_power_at(std::uint64_t operation) { power_at_ = operation == 0 ? 0 : operations_ + operation; }
    bool dark() const { return dark_; }

    /// The power comes back: of what was not synchronised, some is there, some is not.
    void restart() {
        for (auto& [path, inode] : files_) inode->in_use = false;
        Directory names = durable_;
        const std::size_t kept = random_.below(static_cast<std::uint32_t>(pending_.size()) + 1);
        for (std::size_t k = 0; k < kept; ++k) pending_[k](names);
        for (auto& [path, inode] : names) settle(*inode);
        files_ = durable_ = names;
        pending_.clear();
        dark_ = false;
        locked_ = false;
        power_at_ = fail_at_ = 0;
        fail_all_ = 0;
    }

    /// Changes a byte of a file for good, as a decaying disk would.
    void corrupt(const Path& path, std::size_t place) {
        Inode& inode = *files_.at(path.string());
        inode.now.at(place) ^= std::byte{1};
        inode.durable = inode.now;
    }
    std::size_t size(const Path& path) const { return files_.at(path.string())->now.size(); }

    Result<std::unique_ptr<File>> open(const Path& path) override {
        if (auto ready = begin(); !ready) return tl::unexpected(ready.error());
        auto& inode = files_[path.string()];
        if (!inode) {
            inode = std::make_shared<Inode>();
            change([path, inode](Directory& names) { names[path.string()] = inode; });
        }
        return std::make_unique<Handle>(*this, inode);
    }
    Result<std::vector<std::byte>> read(const Path& path) override {
        if (auto ready = begin(); !ready) return tl::unexpected(ready.error());
        const auto found = files_.find(path.string());
        if (found == files_.end()) return fail(Code::file_missing);
        return found->second->now;
    }
    Result<void> rename(const Path& from, const Path& to) override {
        if (auto ready = begin(); !ready) return ready;
        return change([from, to](Directory& names) {
            const auto found = names.find(from.string());
            if (found == names.end()) return;
            names[to.string()] = found->second;
            names.erase(from.string());
        });
    }
    Result<void> remove(const Path& path) override {
        if (auto ready = begin(); !ready) return ready;
        return change([path](Directory& names) { names.erase(path.string()); });
    }
    Result<void> make_directory(const Path&) override { return begin(); }
    Result<std::vector<std::string>> list(const Path& directory) override {
        if (auto ready = begin(); !ready) return tl::unexpected(ready.error());
        std::vector<std::string> names;
        for (const auto& [path, inode] : files_) {
            if (Path(path).parent_path() == directory) names.push_back(Path(path).filename().string());
        }
        return names;
    }
    Result<void> sync_directory(const Path&) override {
        if (auto ready = begin(); !ready) return ready;
        for (const auto& step : pending_) step(durable_);
        pending_.clear();
        return {};
    }
    Result<std::shared_ptr<void>> lock(const Path&) override {
        if (locked_) return fail(Code::store_in_use);
        locked_ = true;
        return std::shared_ptr<void>(this, [this](void*) { locked_ = false; });
    }

private:
    struct Inode {
        std::vector<std::byte> now, durable;
        bool in_use = false;
    };
    using Directory = std::map<std::string, std::shared_ptr<Inode>>;

    class Handle final : public File {
    public:
        Handle(SimulatedFiles& files, std::shared_ptr<Inode> inode) : files_(files), inode_(std::move(inode)) {}
        Result<void> append(std::span<const std::byte> bytes) override {
            const auto ready = files_.begin();
            const bool lost = files_.dark_ && !files_.just_went_dark_;
            if (lost) return ready;
            const std::size_t count =
                ready ? bytes.size() : files_.random_.below(static_cast<std::uint32_t>(bytes.size()) + 1);
            inode_->now.insert(inode_->now.end(), bytes.begin(),
                               bytes.begin() + static_cast<std::ptrdiff_t>(count));
            return ready;
        }
        Result<void> sync() override {
            if (auto ready = files_.begin(); !ready) return ready;
            inode_->durable = inode_->now;
            return {};
        }
        Result<void> truncate(std::uint64_t bytes) override {
            if (auto ready = files_.begin(); !ready) return ready;
            inode_->now.resize(bytes);
            return {};
        }

    private:
        SimulatedFiles& files_;
        std::shared_ptr<Inode> inode_;
    };

    Result<void> begin() {
        just_went_dark_ = false;
        if (dark_) return fail(Code::file_unwritable, EIO);
        ++operations_;
        if (operations_ == power_at_) {
            dark_ = just_went_dark_ = true;
            return fail(Code::file_unwritable, EIO);
        }
        if (fail_all_ != 0) return fail(Code::file_unwritable, fail_all_);
        if (operations_ == fail_at_) return fail(Code::file_unwritable, error_);
        return {};
    }

    Result<void> change(std::function<void(Directory&)> step) {
        step(files_);
        pending_.push_back(std::move(step));
        return {};
    }

    /// Old bytes are there; of new ones a beginning is, with holes in it; a cut may have happened or not.
    void settle(Inode& inode) {
        std::vector<std::byte>& now = inode.now;
        const std::vector<std::byte>& durable = inode.durable;
        const bool grown = now.size() >= durable.size() && std::equal(durable.begin(), durable.end(), now.begin());
        if (!grown) {
            if (random_.below(2) == 0) now = durable;
        } else if (now.size() > durable.size()) {
            const auto fresh = static_cast<std::uint32_t>(now.size() - durable.size());
            now.resize(durable.size() + random_.below(fresh + 1));
            if (now.size() > durable.size() && random_.below(3) == 0) {
                const auto at = random_.below(static_cast<std::uint32_t>(now.size() - durable.size()));
                std::fill(now.begin() + static_cast<std::ptrdiff_t>(durable.size() + at), now.end(), std::byte{0});
            }
        }
        inode.durable = now;
    }

    Stream random_;
    Directory files_, durable_;
    std::vector<std::function<void(Directory&)>> pending_;
    std::uint64_t operations_ = 0, fail_at_ = 0, power_at_ = 0;
    int error_ = ENOSPC, fail_all_ = 0;
    bool dark_ = false, just_went_dark_ = false, locked_ = false;
};

}  // namespace dunlin::testing

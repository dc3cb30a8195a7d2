// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace dunlin {

/// Does one thing at a time for somebody who goes on meanwhile: a thread, or a test that says when.
class Aside {
public:
    virtual ~Aside() = default;
    /// Not before the last thing was collected.
    virtual void begin(std::function<void()> work) = 0;
    /// Is it done, within so long? True once for each thing; from then on its results are the caller's.
    virtual bool collect(std::chrono::milliseconds wait) = 0;
};

/// A thread that does one thing at a time for another one, which goes on meanwhile and asks whether it is done.
class Background final : public Aside {
public:
    /// `done` is called on the thread after each thing.
    explicit Background(std::function<void()> done) : done_(std::move(done)), thread_([this] { live(); }) {}
    Background(const Background&) = delete;
    /// Waits for what is under way.
    ~Background() override {
        {
            const std::lock_guard lock(mutex_);
            ends_ = true;
        }
        changed_.notify_all();
        thread_.join();
    }

    void begin(std::function<void()> work) override {
        const std::lock_guard lock(mutex_);
        state_ = State::begun;
        work_ = std::move(work);
        changed_.notify_all();
    }
    /// Is something begun that was not collected?
    bool busy() const {
        const std::lock_guard lock(mutex_);
        return state_ != State::idle;
    }
    bool collect(std::chrono::milliseconds wait = {}) override {
        std::unique_lock lock(mutex_);
        if (state_ == State::begun) changed_.wait_for(lock, wait, [this] { return state_ != State::begun; });
        if (state_ != State::done) return false;
        state_ = State::idle;
        return true;
    }

private:
    enum class State { idle, begun, done };

    void live() {
        std::unique_lock lock(mutex_);
        for (;;) {
            changed_.wait(lock, [this] { return ends_ || state_ == State::begun; });
            if (state_ != State::begun) return;
            const std::function<void()> work = std::move(work_);
            lock.unlock();
            work();
            lock.lock();
            state_ = State::done;
            changed_.notify_all();
            done_();
            if (ends_) return;
        }
    }

    std::function<void()> done_, work_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    State state_ = State::idle;
    bool ends_ = false;
    std::thread thread_;
};

}  // namespace dunlin

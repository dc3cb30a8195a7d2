// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/ranks.hpp"

#include "apps/output.hpp"
#include "training/host/text_values.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#ifdef DUNLIN_MPI
#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>
#endif

namespace dunlin::app {

int started_together() {
    for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"}) {
        const char* text = std::getenv(name);
        if (text == nullptr) continue;
        const auto count = whole_number(text);
        if (count && *count > 0 && *count < 1'000'000) return static_cast<int>(*count);
    }
    return 1;
}

#ifdef DUNLIN_MPI

namespace {

constexpr int last_word = 4096;  ///< above every slot

/// Ranks that make one run together. One thread calls MPI, between the ticks of the run.
class RunTogether final : public RankGroup {
public:
    int rank() const override { return rank_; }
    int count() const override { return count_; }
    std::uint32_t signals() const override { return signals_; }

    void join(int rank, int count) {
        rank_ = rank;
        count_ = count;
    }

    void exchange(const std::vector<Bytes>& to, std::vector<Bytes>& from) override {
        const std::vector<Word> words = pass(Word{State::goes_on, 0, signal(), 0}, to, from);
        signals_ = 0;
        int ended = -1, first = count_;
        for (int r = count_ - 1; r >= 0; --r) {
            const Word& word = words[static_cast<std::size_t>(r)];
            signals_ |= word.signals;
            (word.state == State::goes_on ? first : ended) = r;
        }
        if (ended < 0) return;
        if (rank_ == first) {
            const Bytes& said = from[static_cast<std::size_t>(ended)];
            mute_output(false);
            note("dunlin: {}{}\n", ended > 0 ? fmt::format("rank {}: ", ended) : "",
                 std::string_view(reinterpret_cast<const char*>(said.data()), said.size()));
        }
        MPI_Abort(MPI_COMM_WORLD, words[static_cast<std::size_t>(ended)].code);
    }

    void end(int code, const std::string& failure) {
        const auto text = std::as_bytes(std::span(failure));
        std::vector<Bytes> from;
        std::vector<Bytes> to(static_cast<std::size_t>(count_), Bytes(text.begin(), text.end()));
        const std::vector<Word> words = pass(Word{State::ended, code, 0, 0}, to, from);
        for (const Word& word : words) {
            // It says what this one said, and ends all.
            while (word.state == State::goes_on) std::this_thread::sleep_for(std::chrono::seconds(1));
        }
    }

private:
    enum class State : std::int32_t { goes_on, ended };
    struct Word {
        State state;
        std::int32_t code;
        std::uint32_t signals;
        std::uint32_t unused;
        std::uint64_t size = 0;
    };

    /// Tells each rank this word and bytes, and answers their words.
    std::vector<Word> pass(Word word, const std::vector<Bytes>& to, std::vector<Bytes>& from) {
        const auto ranks = static_cast<std::size_t>(count_);
        std::vector<Word> told(ranks, word), heard(ranks);
        for (std::size_t r = 0; r < ranks; ++r) told[r].size = to[r].size();
        std::vector<MPI_Request> requests(1);
        MPI_Ialltoall(told.data(), sizeof(Word), MPI_BYTE, heard.data(), sizeof(Word), MPI_BYTE, MPI_COMM_WORLD,
                      requests.data());
        await(requests);
        requests.clear();
        from.assign(ranks, {});
        for (std::size_t r = 0; r < ranks; ++r) {
            if (static_cast<int>(r) == rank_) continue;
            from[r].resize(heard[r].size);
            for (std::size_t at = 0; at < from[r].size(); at += piece) {
                MPI_Irecv(from[r].data() + at, static_cast<int>(std::min(piece, from[r].size() - at)), MPI_BYTE,
                          static_cast<int>(r), 0, MPI_COMM_WORLD, &requests.emplace_back());
            }
        }
        for (std::size_t r = 0; r < ranks; ++r) {
            if (static_cast<int>(r) == rank_) continue;
            for (std::size_t at = 0; at < to[r].size(); at += piece) {
                MPI_Isend(to[r].data() + at, static_cast<int>(std::min(piece, to[r].size() - at)), MPI_BYTE,
                          static_cast<int>(r), 0, MPI_COMM_WORLD, &requests.emplace_back());
            }
        }
        await(requests);
        return heard;
    }

    /// MPI counts in int.
    static constexpr std::size_t piece = std::size_t{1} << 30;

    /// Lets others have the processor: first at once, for a tick may be short, then for longer.
    static void await(std::vector<MPI_Request>& requests) {
        constexpr int eager = 2000;
        for (int looks = 0, done = 0;; ++looks) {
            MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done, MPI_STATUSES_IGNORE);
            if (done != 0) return;
            if (looks < eager)
                std::this_thread::yield();
            else
                std::this_thread::sleep_for(std::chrono::microseconds(100));
        }
    }

    int rank_ = 0, count_ = 1;
    std::uint32_t signals_ = 0;
};

}  // namespace

struct Ranks::Implementation {
    int rank = 0, count = 1;
    bool over = false;  ///< rank 0 is done
    bool asks = true;   ///< or they make one run together
    RunTogether run;
    std::mutex mutex;  // of MPI, which is asked for one call at a time

    /// Lets others talk meanwhile: a long text leaves only when it is listened to.
    void say(int to, int slot, const std::string& text) {
        MPI_Request request;
        {
            const std::lock_guard lock(mutex);
            MPI_Isend(text.data(), static_cast<int>(text.size()), MPI_CHAR, to, slot, MPI_COMM_WORLD, &request);
        }
        for (int gone = 0;;) {
            {
                const std::lock_guard lock(mutex);
                MPI_Test(&request, &gone, MPI_STATUS_IGNORE);
            }
            if (gone != 0) return;
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }

    /// Nothing once rank 0 said its last word. Looks a thousand times a second: MPI's own waiting takes a whole
    /// processor, which runs are made on.
    std::optional<std::string> hear(int from, int slot) {
        for (;;) {
            {
                const std::lock_guard lock(mutex);
                int there = 0, size = 0;
                MPI_Status status;
                if (rank != 0 && !over) {
                    MPI_Iprobe(0, last_word, MPI_COMM_WORLD, &there, &status);
                    over = there != 0;
                    if (over) MPI_Recv(nullptr, 0, MPI_CHAR, 0, last_word, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
                }
                if (over) return std::nullopt;
                MPI_Iprobe(from, slot, MPI_COMM_WORLD, &there, &status);
                if (there != 0) {
                    MPI_Get_count(&status, MPI_CHAR, &size);
                    std::string text(static_cast<std::size_t>(size), '\0');
                    MPI_Recv(text.data(), size, MPI_CHAR, from, slot, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
                    return text;
                }
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }
};

Outcome<Ranks> Ranks::join() {
    auto made = std::make_unique<Implementation>();
    if (started_together() > 1) {
        int provided = 0;
        if (MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided) != MPI_SUCCESS ||
            provided < MPI_THREAD_SERIALIZED)
            return refuse("MPI: it does not let several threads call it in turn; use one that does");
        MPI_Comm_rank(MPI_COMM_WORLD, &made->rank);
        MPI_Comm_size(MPI_COMM_WORLD, &made->count);
        if (made->count != started_together()) {
            MPI_Finalize();
            return refuse(
                fmt::format("started as one of {} processes, of which MPI finds {}: with Slurm take `srun "
                            "--mpi=pmix`, or the mpirun of the MPI that Dunlin was built with",
                            started_together(), made->count));
        }
    }
    return Ranks(std::move(made));
}

Ranks::~Ranks() {
    if (!implementation_ || started_together() == 1) return;
    if (!implementation_->asks) end(1, "the run broke off");
    if (implementation_->rank == 0 && implementation_->asks) {
        for (int rank = 1; rank < implementation_->count; ++rank) implementation_->say(rank, last_word, "");
    }
    MPI_Finalize();
}

RankGroup& Ranks::together() {
    if (implementation_->count == 1) return RankGroup::alone();
    implementation_->asks = false;
    implementation_->run.join(implementation_->rank, implementation_->count);
    return implementation_->run;
}

void Ranks::end(int code, const std::string& failure) {
    if (std::exchange(implementation_->over, true) || implementation_->asks) return;
    implementation_->run.end(code, failure);
}

std::string Ranks::ask(int rank, int slot, const std::string& question) {
    implementation_->say(rank, slot, question);
    return implementation_->hear(rank, slot).value();
}

void Ranks::answer(int slots, const std::function<std::string(const std::string&)>& work) {
    std::vector<std::jthread> threads;
    for (int slot = 0; slot < slots; ++slot) {
        threads.emplace_back([this, slot, &work] {
            for (;;) {
                const std::optional<std::string> question = implementation_->hear(0, slot);
                if (!question) return;
                implementation_->say(0, slot, work(*question));
            }
        });
    }
}

#else

struct Ranks::Implementation {
    int rank = 0, count = 1;
};

Outcome<Ranks> Ranks::join() {
    if (const int count = started_together(); count > 1)
        return refuse(
            fmt::format("started as one of {} processes, but built without MPI: install libopenmpi-dev, "
                        "configure and build again (docs/cluster.md), or start it alone",
                        count));
    return Ranks(std::make_unique<Implementation>());
}

Ranks::~Ranks() = default;

RankGroup& Ranks::together() {
    return RankGroup::alone();
}

void Ranks::end(int, const std::string&) {}

std::string Ranks::ask(int, int, const std::string&) {
    return {};
}

void Ranks::answer(int, const std::function<std::string(const std::string&)>&) {}

#endif

Ranks::Ranks(std::unique_ptr<Implementation> implementation) : implementation_(std::move(implementation)) {}
Ranks::Ranks(Ranks&&) noexcept = default;

int Ranks::rank() const {
    return implementation_->rank;
}
int Ranks::count() const {
    return implementation_->count;
}

}  // namespace dunlin::app

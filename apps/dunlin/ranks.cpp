// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/ranks.hpp"

#include "training/host/text_values.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <thread>
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
}

struct Ranks::Implementation {
    int rank = 0, count = 1;
    bool over = false;  ///< rank 0 is done
    std::mutex mutex;   // of MPI, which is asked for one call at a time

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
    if (implementation_->rank == 0) {
        for (int rank = 1; rank < implementation_->count; ++rank) implementation_->say(rank, last_word, "");
    }
    MPI_Finalize();
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

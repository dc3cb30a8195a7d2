// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fleet/coordinator/access.hpp"
#include "fleet/coordinator/alerts.hpp"
#include "fleet/coordinator/audit.hpp"
#include "fleet/coordinator/coordinator.hpp"
#include "fleet/coordinator/index.hpp"
#include "fleet/coordinator/letter.hpp"
#include "training/host/failure.hpp"

#include <deque>
#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace dunlin {

/// Where the operator's requests are answered: by the process that serves, or by a command that opened the store
/// itself because nobody serves.
class Desk {
public:
    using Json = nlohmann::ordered_json;

    struct Place {
        std::string endpoint;    ///< where nodes reach this coordinator; "" while nobody serves
        std::string server_key;  ///< hexadecimal
        std::int64_t started_unix_ms = 0;
        std::string restored = {};  ///< where a restore just now put what was there before; "": there was none
        std::string restore_problem = {};  ///< or what went wrong with it
        std::string web = {};              ///< where browsers reach it: "http://127.0.0.1:7710"; "": nowhere
        std::string web_pin = {};          ///< of its certificate, "sha256:..."; "": it has none
        std::shared_ptr<Access> access = nullptr;  ///< of whoever asks by the web; null: opened where it is needed
    };
    /// Who asks by the control socket, or has opened the store himself.
    static constexpr const char* owner = "the store's owner";

    Desk(Coordinator& coordinator, Index& index, Place place)
        : coordinator_(coordinator), index_(index), place_(std::move(place)) {}

    /// Every answer has "ok", and "error" with its code and text where it is false. An action is in the audit log, durable,
    /// before it is done, and once more with what became of it; where it cannot be written the action is refused. Who
    /// may ask for it (roles.hpp) is for the caller to see to.
    Letter answer(const Letter& request, std::int64_t now_ms);

    /// What a view is, for who shows it as it changes; null where it is refused. Only for commands that are no actions.
    Json look(const Json& asked, std::int64_t now_ms);

    // Rows of views, one by one (desk_live.cpp), for who shows them as they change: only of those that say something else
    // than when `marks` was written is it made what they say. `marks` is the caller's, and empty at first.

    using TellRow = std::function<void(std::uint32_t number, Json row)>;
    /// What the command "nodes" says of each, but for what changes with every message of a node or by the clock; in place
    /// of that "updated_unix_ms", in steps of ten seconds.
    void changed_nodes(std::vector<std::uint64_t>& marks, std::int64_t now_ms, std::int64_t unix_ms,
                       const TellRow& tell);
    /// What the command "job" says of each member. False where there is no such job, or it cannot be read: the marks are then
    /// to be cleared.
    bool changed_members(std::uint64_t job, std::vector<std::uint64_t>& marks, const TellRow& tell);

    // For who serves nodes meanwhile: to plan a job means to read its data.

    /// Jobs that are planned at a time.
    static constexpr std::size_t most_plans = 4;
    /// The answer, or nothing where it comes later, by `finished`. Experiments that name a file are refused to anybody
    /// but the owner.
    std::optional<Letter> take(std::uint64_t asker, const Letter& request, std::int64_t now_ms,
                               const std::string& who = owner);
    /// An answer that has become ready, if there is one, and whom it is for.
    std::optional<std::pair<std::uint64_t, Letter>> finished(std::int64_t now_ms);

    // Alerts (desk_alerts.cpp), for who serves.

    static constexpr const char* alerts_file = "alerts.toml";
    /// Reads STORE/alerts.toml, where it has changed since. It must be a file of this process's user or of root that
    /// nobody else can write, for it says what is to be run. Error: what is wrong with it, once; the rules of before stay.
    Outcome<void> read_alert_rules();
    /// Looks at the fleet, by the rules; to be called every few seconds. What changed is an event and in the audit log, and
    /// is handed on: `tell` is the caller's, to whom the rule wants it told.
    void look_for_alerts(std::int64_t now_ms,
                         const std::function<void(const AlertRule&, const AlertChange&)>& tell);
    /// Writes down whether somebody was told.
    void note_told(const std::string& to, const std::string& text, const std::string& problem);

    /// The backup that the operator wants in the place of this store: for whoever runs the loop.
    const std::optional<std::filesystem::path>& restore_wanted() const { return restore_wanted_; }

private:
    struct Commands;
    Json look(std::int64_t now_ms, const std::function<Json(Commands&)>& at);
    /// A plan that is wanted before a job can be made.
    struct Plan {
        std::string experiment, where;
        std::uint32_t members = 0;
    };
    struct Planning {
        std::uint64_t asker = 0;
        std::string who;
        Letter request;
        Plan plan;
        std::future<Outcome<JobPlan>> made;
    };
    /// The answer, or nothing and `wanted` where a plan is needed that `made` is not.
    std::optional<Letter> reply_to(const Letter& request, std::int64_t now_ms, Planning* made, Plan& wanted);
    static std::future<Outcome<JobPlan>> plan(const Plan& wanted);

    /// The refusal of an experiment that names a file: to plan it means to read that file here.
    static std::optional<Letter> refuse_files(const Letter& request);
    Result<Access*> access();
    Result<void> note(Json entry);
    /// Writes down what is asked for, if it is an action. The refusal, where that cannot be done.
    std::optional<Letter> note_asked(const Letter& request, const std::string& who);
    /// And what became of it.
    void note_answered(const Letter& request, const std::string& who, const Letter& reply);

    Coordinator& coordinator_;
    Index& index_;
    Place place_;
    std::optional<std::filesystem::path> restore_wanted_;
    std::deque<Planning> planning_;
    std::optional<AuditLog> audit_;  ///< since the first action
    Alerts alerts_;
    std::string alerts_read_, alerts_problem_;    ///< the file's mark when it was read; what is wrong with it
    std::map<std::uint32_t, std::int64_t> away_;  ///< nodes that are not here, and since when that is seen
};

}  // namespace dunlin

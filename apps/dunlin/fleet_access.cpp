// SPDX-License-Identifier: Apache-2.0
// Who may command this fleet from elsewhere, and what was done.
#include "apps/dunlin/fleet_commands.hpp"
#include "apps/dunlin/interrupt.hpp"
#include "apps/output.hpp"
#include "apps/report/table.hpp"
#include "training/host/plain_text.hpp"

#include <memory>
#include <set>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/format.h>

namespace dunlin::app {
namespace {

struct TokenOptions {
    FleetOptions fleet;
    std::string name = "unnamed", role = "view", label;
    std::uint64_t number = 0, minutes = 0;
};

Outcome<int> create(const TokenOptions& options) {
    const auto reply = ask_fleet(options.fleet.store, {{"command", "token-create"},
                                                       {"name", options.name},
                                                       {"role", options.role},
                                                       {"label", options.label},
                                                       {"minutes", options.minutes}});
    if (!reply) return tl::unexpected(reply.error());
    const bool enrols = options.role == "enrol";
    say("{}\n", options.fleet.json ? reply->json.dump() : reply->json["token"].get<std::string>());
    if (enrols) {
        hint(options.fleet,
             fmt::format("one node may come onto the roster by it, with the label {}, until {} UTC\n"
                         "on the node, the token in a file that only you can read: dunlin-node enrol --at {} "
                         "--token-file FILE && dunlin-node run",
                         options.label, time_text(reply->json["until_unix_ms"]),
                         reply->json["web"].get<std::string>()));
        return succeeded;
    }
    hint(options.fleet,
         fmt::format("token {} may {}; it is not shown again: keep it in a file that only you can read\n"
                     "elsewhere: dunlin fleet --at URL --token-file FILE status",
                     reply->json["number"].dump(), options.role));
    return succeeded;
}

Outcome<int> list(const TokenOptions& options) {
    const auto reply = ask_fleet(options.fleet.store, {{"command", "token-list"}});
    if (!reply) return tl::unexpected(reply.error());
    if (options.fleet.json) {
        say("{}\n", reply->json.dump());
        return succeeded;
    }
    report::Table table{{"token", "name", "role", "made", "until"}, {}, ""};
    for (const Json& token : reply->json["tokens"]) {
        const bool ends = token.contains("until_unix_ms");
        table.rows.push_back({token["number"].dump(), token["name"], token["role"],
                              time_text(token["made_unix_ms"]),
                              !ends           ? ""
                              : token["used"] ? "used"
                                              : time_text(token["until_unix_ms"])});
    }
    say("{}", report::text_table(table));
    hint(options.fleet, table.rows.empty() ? "next: dunlin fleet token create --role view --name NAME"
                                           : "next: dunlin fleet token revoke TOKEN");
    return succeeded;
}

Outcome<int> revoke(const TokenOptions& options) {
    const auto reply = ask_fleet(options.fleet.store, {{"command", "token-revoke"}, {"number", options.number}});
    if (!reply) return tl::unexpected(reply.error());
    if (options.fleet.json) say("{}\n", reply->json.dump());
    hint(options.fleet, fmt::format("token {} is refused from now on, and its sessions are over", options.number));
    return succeeded;
}

Outcome<int> link(const TokenOptions& options) {
    const auto reply = ask_fleet(options.fleet.store, {{"command", "token-link"}, {"role", options.role}});
    if (!reply) return tl::unexpected(reply.error());
    say("{}\n", options.fleet.json ? reply->json.dump() : reply->json["link"].get<std::string>());
    hint(options.fleet, fmt::format("it opens the page once, within {} minutes, as {}",
                                    reply->json["minutes"].dump(), options.role));
    return succeeded;
}

Outcome<int> alerts(const FleetOptions& options) {
    const auto reply = ask_fleet(options.store, {{"command", "alerts"}});
    if (!reply) return tl::unexpected(reply.error());
    const Json& told = reply->json;
    const std::string problem = told["problem"];
    if (options.json) {
        say("{}\n", told.dump());
    } else {
        for (const Json& alert : told["alerts"])
            say("{}  {}\n", time_text(alert["raised_unix_ms"]), alert["text"].get<std::string>());
        report::Table table{{"rule", "nodes", "told to"}, {}, ""};
        for (const Json& rule : told["rules"]) {
            std::string to = "log";
            if (rule["webhook"]) to += ", webhook";
            if (rule["command"]) to += ", command";
            const std::string nodes = rule["nodes"];
            table.rows.push_back({rule["when"], nodes.empty() ? "all" : nodes, to});
        }
        say("{}", report::text_table(table));
        if (table.rows.empty())
            hint(options,
                 fmt::format("rules are written in {}, by the store's owner:\n[[alert]]\nwhen = \"node away for "
                             "10 min\"",
                             told["file"].get<std::string>()));
    }
    if (!problem.empty()) return unable(problem);
    return succeeded;
}

struct AuditOptions {
    FleetOptions fleet;
    std::string head;
    std::uint64_t lines = 0;
};

Outcome<int> audit(const AuditOptions& options) {
    const auto reply =
        ask_fleet(options.fleet.store, {{"command", "audit"}, {"head", options.head}, {"lines", options.lines}});
    if (!reply) return tl::unexpected(reply.error());
    const Json& told = reply->json;
    const bool whole = told["whole"], known = options.head.empty() || !told["asked_at"].is_null();
    if (options.fleet.json) {
        say("{}\n", told.dump());
        return whole && known ? succeeded : failed;
    }
    for (const Json& line : told["newest"]) {
        // Somebody may have written anything into the file.
        const auto said = [&](const char* key) {
            const auto found = line.find(key);
            return found != line.end() && found->is_string() ? shown(found->get<std::string>(), false)
                                                             : std::string();
        };
        const auto time = line.find("time_ms"), request = line.find("request");
        const bool asked = said("what") == "asked" && request != line.end();
        say("{}  {} {}: {}\n",
            time_text(time != line.end() && time->is_number_integer() ? time->get<std::int64_t>() : 0), said("who"),
            said("what"),
            asked ? request->dump(-1, ' ', false, Json::error_handler_t::replace)
                  : said("command") + " " + said("text"));
    }
    say("{} lines\nhead {}\n", told["lines"].dump(), told["head"].get<std::string>());
    if (!whole)
        return unable(
            fmt::format("the chain breaks at line {}: somebody changed the file", told["broken_at"].dump()));
    if (!known)
        return unable(fmt::format("no line has the hash {}: what stood there is gone or changed", options.head));
    hint(options.fleet,
         "the chain is whole\nkeep the head elsewhere; later: dunlin fleet audit --head HEAD finds out "
         "whether anything before it was changed");
    return succeeded;
}

}  // namespace

void add_fleet_access(CLI::App& fleet, Command& run) {
    CLI::App* tokens = fleet.add_subcommand("token", "Who may command this fleet by its web port");
    tokens->require_subcommand(1);
    struct Kind {
        const char *name, *help, *example;
        Outcome<int> (*act)(const TokenOptions&);
    };
    for (const Kind& kind :
         {Kind{"create", "Make a token, and print it once",
               "create --role view --name grafana\n  dunlin fleet token create --role enrol --label board", create},
          Kind{"list", "List the tokens that are good", "list", list},
          Kind{"revoke", "End a token, and the sessions that began with it", "revoke 3", revoke},
          Kind{"link", "Print a link that opens the page once", "link --role operate", link}}) {
        auto options = std::make_shared<TokenOptions>();
        CLI::App* command = tokens->add_subcommand(kind.name, kind.help);
        add_fleet_options(*command, options->fleet);
        if (kind.act == create || kind.act == link) {
            if (kind.act == link) options->role = "admin";
            std::set<std::string> roles{"view", "operate", "admin"};
            if (kind.act == create) roles.insert("enrol");
            command
                ->add_option("--role", options->role,
                             kind.act == create
                                 ? "view: look; operate: jobs too; admin: all; enrol: lets one new node "
                                   "onto the roster, once"
                                 : "view: look; operate: jobs too; admin: all")
                ->check(CLI::IsMember(roles))
                ->capture_default_str();
        }
        if (kind.act == create) {
            command->add_option("--name", options->name, "for the list and the audit log")->capture_default_str();
            command->add_option("--label", options->label, "with --role enrol: the new node's label");
            command
                ->add_option("--minutes", options->minutes, "with --role enrol: how long it is good; default: 60")
                ->check(CLI::Range(1, 1440));
        }
        if (kind.act == revoke)
            command->add_option("token", options->number, "its number, as `token list` says it")->required();
        command->footer(fmt::format("Example:\n  dunlin fleet token {}\n", kind.example));
        command->callback([options, act = kind.act, &run] { run = [options, act] { return act(*options); }; });
    }

    auto looked = std::make_shared<FleetOptions>();
    CLI::App* alert =
        fleet.add_subcommand("alerts", "What is raised by the rules of STORE/alerts.toml, and the rules");
    add_fleet_options(*alert, *looked);
    alert->footer(
        "Rules are looked at while a coordinator serves, every five seconds, and read again when their file "
        "changes:\n"
        "  [[alert]]\n  when = \"node away for 10 min\"           # or: node temperature > 80 for 5 min; weight "
        "lost > 1/n;\n"
        "                                          # return_ratio worse than baseline by 0.05\n"
        "  command = [\"/usr/local/bin/tell\", \"me\"]  # JSON on its stdin; or webhook = \"https://...\"\n"
        "Exit codes: 0 done, 1 the file cannot be used.\nExample:\n  dunlin fleet alerts\n");
    alert->callback([looked, &run] { run = [looked] { return alerts(*looked); }; });

    auto audited = std::make_shared<AuditOptions>();
    CLI::App* command =
        fleet.add_subcommand("audit", "Verify the chain of all that operators did, and print its head");
    add_fleet_options(*command, audited->fleet);
    command->add_option("--lines,-n", audited->lines, "and the newest lines")->check(CLI::Range(0, 10'000));
    command->add_option("--head", audited->head, "a head of before: is it still in the chain?");
    command->footer("Exit codes: 0 the chain is whole, 1 it is not.\nExample:\n  dunlin fleet audit --lines 20\n");
    command->callback([audited, &run] { run = [audited] { return audit(*audited); }; });
}

}  // namespace dunlin::app

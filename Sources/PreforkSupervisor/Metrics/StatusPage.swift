// The status page: one file that asks for nothing but /status.json.
//
// Nothing of others gets into it here, so that there is no escaping for HTML: what /status.json says is JSON, and the
// page shows it by `textContent` alone, which takes no markup.

enum StatusPage {
    static var response: HTTPResponse {
        var response = HTTPResponse(status: 200, type: "text/html; charset=utf-8", body: Array(html.utf8))
        // Whatever text gets into the page, the page can load nothing, send nothing elsewhere and not be framed.
        let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"
        response.fields = [("Content-Security-Policy", "\(policy); frame-ancestors 'none'; base-uri 'none'")]
        return response
    }

    private static let html = #"""
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <title>Prefork</title>
        <style>
        :root {
          --ground: #f6f7f9; --card: #fff; --ink: #1b1f24; --soft: #5b6572; --line: #dde1e6;
          --good: #1a7f37; --warn: #9a6700; --bad: #c62828; --bar: #2f6feb;
        }
        @media (prefers-color-scheme: dark) {
          :root {
            --ground: #0e1116; --card: #171b22; --ink: #e6e9ee; --soft: #97a1ae; --line: #2a313b;
            --good: #4ac26b; --warn: #d4a72c; --bad: #ff7b72; --bar: #6ea0ff;
          }
        }
        * { box-sizing: border-box; }
        body { margin: 0; padding: 1rem; background: var(--ground); color: var(--ink);
          font: 15px/1.45 system-ui, sans-serif; }
        main { max-width: 72rem; margin: 0 auto; }
        header { display: flex; flex-wrap: wrap; gap: .25rem .75rem; align-items: baseline; margin-bottom: .75rem; }
        h1 { font-size: 1.3rem; margin: 0; }
        h2 { font-size: 1rem; margin: 1.25rem 0 .5rem; }
        #note { color: var(--soft); }
        .phase { padding: .05rem .55rem; border-radius: 1rem; border: 1px solid currentColor; font-size: .85rem; }
        .facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); gap: .5rem; }
        .fact { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .5rem .75rem; }
        .fact b { display: block; font-size: 1.25rem; font-variant-numeric: tabular-nums; }
        .fact span { color: var(--soft); font-size: .85rem; }
        table { width: 100%; border-collapse: collapse; background: var(--card); border: 1px solid var(--line);
          font-variant-numeric: tabular-nums; }
        th, td { padding: .35rem .6rem; text-align: right; border-top: 1px solid var(--line); white-space: nowrap; }
        th { color: var(--soft); font-weight: 500; font-size: .85rem; border-top: 0; }
        .left { text-align: left; }
        td.exit { white-space: normal; min-width: 10rem; color: var(--soft); }
        .good { color: var(--good); } .warn { color: var(--warn); } .bad { color: var(--bad); }
        .bar { display: inline-block; width: 3rem; height: .5rem; background: var(--line); border-radius: .25rem;
          overflow: hidden; vertical-align: middle; margin-left: .4rem; }
        .bar i { display: block; height: 100%; background: var(--bar); }
        @media (max-width: 44rem) {
          body { padding: .6rem; }
          table, tbody, tr, td { display: block; border: 0; background: none; }
          thead { display: none; }
          tr { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; margin-bottom: .5rem;
            padding: .4rem .75rem; display: grid; grid-template-columns: 1fr 1fr; gap: 0 1rem; }
          td { padding: .1rem 0; display: flex; align-items: center; text-align: left; min-width: 0; }
          td::before { content: attr(data-name); color: var(--soft); font-size: .85rem; margin-right: auto; }
          td.exit { grid-column: 1 / -1; gap: 1rem; }
          td.exit:empty { display: none; }
        }
        </style>
        </head>
        <body>
        <main>
        <header><h1>Prefork</h1><span class="phase" id="phase">…</span><span id="note" role="status"></span></header>
        <div class="facts" id="facts"></div>
        <h2>Workers</h2>
        <table><thead><tr id="head"></tr></thead><tbody id="workers"></tbody></table>
        <div id="objects"></div>
        <h2>Listeners</h2>
        <div class="facts" id="listeners"></div>
        </main>
        <noscript>This page needs JavaScript. /metrics and /status.json have the same figures.</noscript>
        <script>
        "use strict";
        const at = id => document.getElementById(id);
        const columns = ["slot", "pid", "gen", "state", "uptime", "req/s", "conns", "cpu", "rss", "restarts",
          "last exit"];
        const grades = { ready: "good", running: "good", booting: "warn", draining: "warn", reloading: "warn",
          backingOff: "bad", killed: "bad", failed: "bad", delayingStop: "warn", stopping: "warn",
          ended: "warn" };
        let before = null;

        function element(tag, text, style) {
          const node = document.createElement(tag);
          if (text !== undefined) node.textContent = text;
          if (style) node.className = style;
          return node;
        }
        function time(seconds) {
          const whole = Math.floor(seconds), two = n => String(n).padStart(2, "0");
          if (whole < 60) return whole + " s";
          if (whole < 3600) return Math.floor(whole / 60) + "m " + two(whole % 60) + "s";
          if (whole < 172800) return Math.floor(whole / 3600) + "h " + two(Math.floor(whole / 60) % 60) + "m";
          return Math.floor(whole / 86400) + " d";
        }
        const size = bytes => bytes == null ? "–" : (bytes / 1048576).toFixed(bytes < 104857600 ? 1 : 0) + " MiB";
        const rate = n => n == null ? "–" : n >= 100 ? String(Math.round(n)) : n.toFixed(1);
        const share = n => n == null ? "–" : Math.round(100 * n) + " %";

        const keyOf = worker => worker.slot + ":" + worker.pid;

        // Rates come from two samples of the same process. Its own age tells the time between them.
        function rates(worker) {
          const old = before && worker.pid != null && before.get(keyOf(worker));
          const span = old ? worker.uptime - old.uptime : 0;
          if (!(span > 0)) return {};
          const per = name => worker[name] == null || old[name] == null ? null : (worker[name] - old[name]) / span;
          return { requests: per("requests"), cpu: per("cpu") };
        }
        function row(worker, rates) {
          const last = worker.lastExit, line = element("tr");
          const cells = [worker.slot + (worker.beside ? "′" : ""), worker.pid ?? "–", worker.generation,
            worker.state, worker.pid == null ? "–" : time(worker.uptime), rate(rates.requests), worker.connections,
            share(rates.cpu), size(worker.rss), worker.restarts, last ? last.status : ""];
          cells.forEach((text, index) => {
            const cell = element("td", text, index === 3 ? "left " + (grades[text] || "") : index === 10 ? "left exit" : "");
            cell.dataset.name = columns[index];
            if (index === 7 && rates.cpu != null) {
              const bar = element("span", undefined, "bar"), fill = element("i");
              fill.style.width = Math.min(100, 100 * rates.cpu) + "%";
              bar.append(fill);
              cell.append(bar);
            }
            line.append(cell);
          });
          return line;
        }
        function fact(value, name, style) {
          const card = element("div", undefined, "fact");
          card.append(element("b", value, style), element("span", name));
          return card;
        }
        // One table for each kind of object that there is. A row is what is in `columns` of an element, in that order.
        const kinds = [
          { key: "managed", title: "Managed processes", columns: ["name", "pid", "generation", "state", "restarts"] },
          { key: "queues", title: "Queues", columns: ["name", "ready", "inFlight", "deadLetters", "sent",
            "acknowledged", "redelivered", "damages"] },
          { key: "channels", title: "Channels", columns: ["name", "end", "pid", "generation", "state", "waiting",
            "sent"] },
          { key: "stores", title: "Stores", columns: ["name", "entries", "entryLimit", "bytes", "byteLimit",
            "evictions", "refusals", "damages"] }];
        const isText = name => ["name", "end", "state"].includes(name);
        const bytes = name => name === "bytes" || name === "byteLimit";
        const words = name => name.replace(/[A-Z]/g, letter => " " + letter.toLowerCase());
        function table(kind, rows) {
          if (!rows.length) return [];
          const whole = element("table"), head = element("thead"), names = element("tr"), body = element("tbody");
          kind.columns.forEach(name => names.append(element("th", words(name), isText(name) ? "left" : "")));
          rows.forEach(entry => {
            const line = element("tr");
            kind.columns.forEach(name => {
              const text = bytes(name) ? size(entry[name]) : entry[name] ?? "–";
              const cell = element("td", text, isText(name) ? "left " + (name === "state" ? grades[text] || "" : "") : "");
              cell.dataset.name = words(name);
              line.append(cell);
            });
            body.append(line);
          });
          head.append(names);
          whole.append(head, body);
          return [element("h2", kind.title), whole];
        }
        function show({ status, listeners }) {
          const all = status.workers.map(worker => [worker, rates(worker)]);
          const sum = pick => all.reduce((total, entry) => total + (pick(entry) || 0), 0);
          at("phase").textContent = status.phase;
          at("phase").className = "phase " + (grades[status.phase] || "");
          document.title = status.ready + "/" + status.target + " Prefork";
          const facts = [
            fact(status.ready + " / " + status.target, "workers ready", status.ready < status.target ? "warn" : "good"),
            fact(before ? rate(sum(entry => entry[1].requests)) : "–", "requests/s"),
            fact(sum(entry => entry[0].connections), "connections"),
            fact(size(sum(entry => entry[0].rss)), "resident, shared counted twice"),
            fact(status.generation, "generation"),
            fact(status.restarts + " / " + status.restartLimit, "restarts"),
            fact(time(status.uptime), "uptime, pid " + status.supervisor)];
          if (status.spares) facts.push(fact(status.spares, "spare workers"));
          if (status.reload) {
            const reload = status.reload, state = { done: "good", running: "warn", probation: "warn", aborted: "bad" }[reload.state];
            facts.push(fact(reload.replaced + " / " + reload.total,
              "reload " + reload.state + (reload.reason ? ": " + reload.reason : ""), state));
          }
          at("facts").replaceChildren(...facts);
          at("workers").replaceChildren(...all.map(entry => row(entry[0], entry[1])));
          at("listeners").replaceChildren(...listeners.map(listener =>
            fact((listener.waiting ?? "–") + " / " + (listener.limit ?? "–"), "waiting at " + listener.address)));
          at("objects").replaceChildren(...kinds.flatMap(kind => table(kind, status[kind.key] || [])));
          before = new Map(status.workers.filter(worker => worker.pid != null).map(worker => [keyOf(worker), worker]));
        }
        function look() {
          return fetch("status.json", { cache: "no-store", signal: AbortSignal.timeout(5000) })
            .then(answer => {
              if (!answer.ok) throw new Error("status " + answer.status);
              return answer.json();
            })
            .then(status => {
              show(status);
              seen = Date.now();
              at("note").textContent = "";
            })
            .catch(error => {
              const silence = time((Date.now() - seen) / 1000);
              at("note").textContent = "no answer since " + silence + " (" + error.message + ")";
              at("note").className = "bad";
            });
        }
        let seen = Date.now();
        columns.forEach((name, index) => at("head").append(element("th", name, [3, 10].includes(index) ? "left" : "")));
        // The next request begins a second after the last one ended, so that a slow supervisor is not overloaded.
        function repeat() {
          const again = () => setTimeout(repeat, 1000);
          if (document.hidden) again(); else look().then(again);
        }
        repeat();
        </script>
        </body>
        </html>

        """#
}

// Settings of a runtime by their short names.

public import PreforkSupervisor
public import PreforkSystem

extension ForkRuntime {
    /// `settings.workers`: the number of workers.
    public var workers: WorkerCount {
        get { settings.workers }
        set { settings.workers = newValue }
    }

    /// `settings.restarts`: how often and how soon workers that have died are replaced.
    public var restarts: RestartPolicy {
        get { settings.restarts }
        set { settings.restarts = newValue }
    }

    /// How many restarts the pool may need in its whole life: `restarts.limit`, which says what is set by setting it.
    public var maxRestarts: Int {
        get { settings.restarts.limit }
        set { settings.restarts.limit = newValue }
    }

    /// How long a new worker may take to become ready before it is killed.
    public var bootTimeout: Duration {
        get { settings.bootTimeout }
        set { settings.bootTimeout = newValue }
    }

    /// How long a worker may take to finish what is in flight before it is killed. Its body is cancelled shortly
    /// before (a tenth of the time, at most a second), so that handlers can still clean up.
    public var drainTimeout: Duration {
        get { settings.drainTimeout }
        set { settings.drainTimeout = newValue }
    }

    /// How long a worker may take to end after a quick stop (SIGINT).
    public var quickTimeout: Duration {
        get { settings.quickTimeout }
        set { settings.quickTimeout = newValue }
    }

    /// `settings.scaling`: when the pool grows and shrinks by itself. It does so only between the numbers of
    /// `ScalingPolicy`'s `workers`.
    public var scaling: ScalingPolicy {
        get { settings.scaling }
        set { settings.scaling = newValue }
    }

    /// How SIGHUP or `preforkctl reload` go through the pool.
    public var reload: ReloadPolicy {
        get { settings.reload }
        set { settings.reload = newValue }
    }

    /// `settings.recycling`: limits on requests, lifetime and memory after which a worker is replaced. By default there
    /// are none.
    public var recycling: RecyclingPolicy {
        get { settings.recycling }
        set { settings.recycling = newValue }
    }

    /// `settings.sandbox`: what workers may still do after they have given up rights. If nil, all that the kernel lets
    /// them.
    public var sandbox: Sandbox? {
        get { settings.sandbox }
        set { settings.sandbox = newValue }
    }

    /// When a worker counts as hung. If nil, hangs are not detected.
    public var hangs: HangPolicy? {
        get { settings.hangs }
        set {
            settings.heartbeat = newValue?.soft
            settings.heartbeatGrace = newValue?.grace ?? settings.heartbeatGrace
        }
    }
}

// The names of all floors under one import: that this compiles is the test.

import Prefork

let namesOfAllFloors: [Any.Type] = [
    ForkRuntime.self, Worker.self, RestartPolicy.self, Backoff.self, ExitReport.self, ProcessManager.self,
    ManagedChild<String>.self, TargetOptions.self, TargetFailureAction.self, ProcessError.self, ProcessHooks.self,
    EventLoop.self, Listener.self, ByteReader.self, ByteWriter.self, Connection.self, StopRequest.self,
    SharedStore.self, StoreError.self, Channel<String>.self, ChannelError.self, WorkQueue<String>.self,
    Subprocess.self, Command.self, SystemError.self, Signal.self, ExitStatus.self,
    (any AsyncService).self, (any BlockingService).self, DependencyGroup.self, Lifecycle.self, ServicePolicy.self,
    ServicePlan.self, ServiceError.self, ServiceEvent.self, ServiceHost.self, ServiceBackoff.self, FailureAction.self,
    RestartScope.self, Readiness.self, StopReason.self, (any StopSource).self, (any ServiceClock).self,
]

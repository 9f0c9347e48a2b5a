package dev.baton.app;

import dev.baton.engine.parallel.CommunicatorSupplier;
import dev.baton.engine.parallel.DeviceSupplier;

/** What the ranks of one replica run on and how they meet. */
interface ReplicaRanks {
    DeviceSupplier devices();

    CommunicatorSupplier communicators();

    static ReplicaRanks of(DeviceSupplier devices, CommunicatorSupplier communicators) {
        return new ReplicaRanks() {
            @Override
            public DeviceSupplier devices() {
                return devices;
            }

            @Override
            public CommunicatorSupplier communicators() {
                return communicators;
            }
        };
    }
}

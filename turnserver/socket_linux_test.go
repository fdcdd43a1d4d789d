package turnserver

func disableGSO(s packetSocket) { s.(*systemSocket).noGSO.Store(true) }

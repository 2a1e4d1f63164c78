import { eventJournalContract } from "../contracts/EventJournalContract.ts"
import { messageStoreContract } from "../contracts/MessageStoreContract.ts"
import { storeSnapshotContract } from "../contracts/StoreSnapshotContract.ts"
import { postgres } from "./storeBackends.ts"

messageStoreContract(postgres)
eventJournalContract(postgres)
storeSnapshotContract(postgres)

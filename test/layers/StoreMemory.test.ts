import { eventJournalContract } from "../contracts/EventJournalContract.ts"
import { messageStoreContract } from "../contracts/MessageStoreContract.ts"
import { storeSnapshotContract } from "../contracts/StoreSnapshotContract.ts"
import { memory } from "./storeBackends.ts"

messageStoreContract(memory)
eventJournalContract(memory)
storeSnapshotContract(memory)

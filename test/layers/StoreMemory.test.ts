import { eventJournalContract } from "../contracts/EventJournalContract.ts"
import { messageStoreContract } from "../contracts/MessageStoreContract.ts"
import { memory } from "./storeBackends.ts"

messageStoreContract(memory)
eventJournalContract(memory)

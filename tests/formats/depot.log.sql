PRAGMA application_id = 1818651748;
PRAGMA user_version = 4;
BEGIN TRANSACTION;
CREATE TABLE event (
    position INTEGER PRIMARY KEY,
    time     INTEGER NOT NULL,  -- microseconds since 1970, UTC
    type     INTEGER NOT NULL REFERENCES type (id),
    version  INTEGER NOT NULL,
    tags     TEXT NOT NULL,     -- one a line
    data     ANY NOT NULL,      -- TEXT where the bytes are UTF-8, else BLOB
    metadata ANY NOT NULL
) STRICT;
INSERT INTO "event" VALUES(1,1735516800000000,1,1,'leftfold.reactor:bells','{"reactor":"bells","position":0,"waiting":[],"types":["depot.delivered"]}','{}');
INSERT INTO "event" VALUES(2,1735603200000000,2,2,'parcel:imported
customer:ann','{"parcel":"imported","customer":"ann","grams":900,"size":"small","fee":"2.50"}','{"command":"db5b5fab8f4d4e279da1494c73cf256d","command_type":"depot.book","correlation":"db5b5fab8f4d4e279da1494c73cf256d"}');
INSERT INTO "event" VALUES(3,1740571200000000,2,1,'customer:ann
parcel:v1','{"parcel":"v1","customer":"ann","kilos":3}','{"actor":"former"}');
INSERT INTO "event" VALUES(4,1740571200000000,4,1,'parcel:v1','{"parcel":"v1","at":"2025-02-26T12:00:00Z"}','{}');
INSERT INTO "event" VALUES(5,1740571200000000,3,1,'zoll:Köln',X'FF0001',X'FE');
INSERT INTO "event" VALUES(6,1740571200000000,2,2,'parcel:cancelled
customer:ann','{"parcel":"cancelled","customer":"ann","grams":500,"size":"small","fee":"2.50"}','{"command":"73ab4876773447c187fde805ec99108d","command_type":"depot.book","correlation":"call-7","actor":"eve","reason":"by phone","extra":{"tenant":"north"}}');
INSERT INTO "event" VALUES(7,1740571200000000,2,2,'parcel:p1
customer:ann','{"parcel":"p1","customer":"ann","grams":700,"size":"small","fee":"2.50"}','{"command":"309d6b79965e4a329ae445508201e2bd","command_type":"depot.book","correlation":"call-7","actor":"eve","reason":"by phone","extra":{"tenant":"north"}}');
INSERT INTO "event" VALUES(8,1740571200000000,2,2,'parcel:p2
customer:ann','{"parcel":"p2","customer":"ann","grams":1400,"size":"large","fee":"2.50"}','{"command":"79cb9e86830c41c28dcc69292f45e678","command_type":"depot.book","correlation":"call-7","actor":"eve","reason":"by phone","extra":{"tenant":"north"}}');
INSERT INTO "event" VALUES(9,1740571200000000,2,2,'parcel:bad scales letters van
customer:bob','{"parcel":"bad scales letters van","customer":"bob","grams":2100,"size":"large","fee":"2.50"}','{"command":"2fa91425cb0048539d2c67eda13ffe79","command_type":"depot.book","correlation":"call-7","actor":"eve","reason":"by phone","extra":{"tenant":"north"}}');
INSERT INTO "event" VALUES(10,1740571200000000,2,2,'parcel:worse scales letters transport
customer:bob','{"parcel":"worse scales letters transport","customer":"bob","grams":2100,"size":"large","fee":"2.50"}','{"command":"244caf9c4dab4481b253edc618187993","command_type":"depot.book","correlation":"call-7","actor":"eve","reason":"by phone","extra":{"tenant":"north"}}');
INSERT INTO "event" VALUES(11,1740571200000000,2,2,'parcel:bad transport
customer:bob','{"parcel":"bad transport","customer":"bob","grams":3000,"size":"large","fee":"2.50"}','{"command":"e3eff9c0cf444d3f89e7d15f17362f25","command_type":"depot.book","correlation":"call-7","actor":"eve","reason":"by phone","extra":{"tenant":"north"}}');
INSERT INTO "event" VALUES(12,1740571200000000,2,2,'parcel:bad stops
customer:bob','{"parcel":"bad stops","customer":"bob","grams":3000,"size":"large","fee":"2.50"}','{"command":"986e86cb0ab84b67a26b7f62b1852f27","command_type":"depot.book","correlation":"call-7","actor":"eve","reason":"by phone","extra":{"tenant":"north"}}');
INSERT INTO "event" VALUES(13,1740571200000000,5,1,'leftfold.ticket:bff80025d4edd00f356f7ac7c1dba31d','{"ticket":"bff80025d4edd00f356f7ac7c1dba31d","command":"depot.send","command_version":1,"data":{"parcel":"imported"}}','{"command":"bff80025d4edd00f356f7ac7c1dba31d","command_type":"depot.send","correlation":"db5b5fab8f4d4e279da1494c73cf256d","cause":2,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(14,1740571200000000,5,1,'leftfold.ticket:293733ab9e39481d95f3f9100b55a691','{"ticket":"293733ab9e39481d95f3f9100b55a691","command":"depot.remind","command_version":1,"data":{"parcel":"imported"},"due":"2025-01-02T00:00:00Z"}','{"command":"293733ab9e39481d95f3f9100b55a691","command_type":"depot.remind","correlation":"db5b5fab8f4d4e279da1494c73cf256d","cause":2,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(15,1740571200000000,7,1,'leftfold.process:depot.transport/imported','{"instance":"depot.transport/imported","position":2,"tickets":["bff80025d4edd00f356f7ac7c1dba31d","293733ab9e39481d95f3f9100b55a691"],"names":{"reminder":"293733ab9e39481d95f3f9100b55a691"},"done":false}','{"correlation":"db5b5fab8f4d4e279da1494c73cf256d","cause":2,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(16,1740571200000000,5,1,'leftfold.ticket:f354772e71cb42baf7d2c99c514dc4bb','{"ticket":"f354772e71cb42baf7d2c99c514dc4bb","command":"depot.send","command_version":1,"data":{"parcel":"v1"}}','{"command":"f354772e71cb42baf7d2c99c514dc4bb","command_type":"depot.send","correlation":"f354772e71cb42baf7d2c99c514dc4bb","cause":3,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(17,1740571200000000,5,1,'leftfold.ticket:d3f126323eae3ccd3c3a4716efba066d','{"ticket":"d3f126323eae3ccd3c3a4716efba066d","command":"depot.remind","command_version":1,"data":{"parcel":"v1"},"due":"2025-02-28T12:00:00Z"}','{"command":"d3f126323eae3ccd3c3a4716efba066d","command_type":"depot.remind","correlation":"d3f126323eae3ccd3c3a4716efba066d","cause":3,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(18,1740571200000000,7,1,'leftfold.process:depot.transport/v1','{"instance":"depot.transport/v1","position":3,"tickets":["f354772e71cb42baf7d2c99c514dc4bb","d3f126323eae3ccd3c3a4716efba066d"],"names":{"reminder":"d3f126323eae3ccd3c3a4716efba066d"},"done":false}','{"cause":3,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(19,1740571200000000,5,1,'leftfold.ticket:2bc5753c57f500792202ac75c56e62d3','{"ticket":"2bc5753c57f500792202ac75c56e62d3","command":"depot.send","command_version":1,"data":{"parcel":"cancelled"}}','{"command":"2bc5753c57f500792202ac75c56e62d3","command_type":"depot.send","correlation":"call-7","cause":6,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(20,1740571200000000,5,1,'leftfold.ticket:c2f7e3003b7416c33f40f2b9361b150b','{"ticket":"c2f7e3003b7416c33f40f2b9361b150b","command":"depot.remind","command_version":1,"data":{"parcel":"cancelled"},"due":"2025-02-28T12:00:00Z"}','{"command":"c2f7e3003b7416c33f40f2b9361b150b","command_type":"depot.remind","correlation":"call-7","cause":6,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(21,1740571200000000,7,1,'leftfold.process:depot.transport/cancelled','{"instance":"depot.transport/cancelled","position":6,"tickets":["2bc5753c57f500792202ac75c56e62d3","c2f7e3003b7416c33f40f2b9361b150b"],"names":{"reminder":"c2f7e3003b7416c33f40f2b9361b150b"},"done":false}','{"correlation":"call-7","cause":6,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(22,1740571200000000,5,1,'leftfold.ticket:ec11dc66994a8b38f771727864d68dd7','{"ticket":"ec11dc66994a8b38f771727864d68dd7","command":"depot.send","command_version":1,"data":{"parcel":"p1"}}','{"command":"ec11dc66994a8b38f771727864d68dd7","command_type":"depot.send","correlation":"call-7","cause":7,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(23,1740571200000000,5,1,'leftfold.ticket:d8f612f4d9a343c82acec375d87646fb','{"ticket":"d8f612f4d9a343c82acec375d87646fb","command":"depot.remind","command_version":1,"data":{"parcel":"p1"},"due":"2025-02-28T12:00:00Z"}','{"command":"d8f612f4d9a343c82acec375d87646fb","command_type":"depot.remind","correlation":"call-7","cause":7,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(24,1740571200000000,7,1,'leftfold.process:depot.transport/p1','{"instance":"depot.transport/p1","position":7,"tickets":["ec11dc66994a8b38f771727864d68dd7","d8f612f4d9a343c82acec375d87646fb"],"names":{"reminder":"d8f612f4d9a343c82acec375d87646fb"},"done":false}','{"correlation":"call-7","cause":7,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(25,1740571200000000,5,1,'leftfold.ticket:8a85745dbcdbc0ffb1eb1bd8c6f96518','{"ticket":"8a85745dbcdbc0ffb1eb1bd8c6f96518","command":"depot.send","command_version":1,"data":{"parcel":"p2"}}','{"command":"8a85745dbcdbc0ffb1eb1bd8c6f96518","command_type":"depot.send","correlation":"call-7","cause":8,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(26,1740571200000000,5,1,'leftfold.ticket:52f5674707bbe39a3d6fae43bd313af5','{"ticket":"52f5674707bbe39a3d6fae43bd313af5","command":"depot.remind","command_version":1,"data":{"parcel":"p2"},"due":"2025-02-28T12:00:00Z"}','{"command":"52f5674707bbe39a3d6fae43bd313af5","command_type":"depot.remind","correlation":"call-7","cause":8,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(27,1740571200000000,7,1,'leftfold.process:depot.transport/p2','{"instance":"depot.transport/p2","position":8,"tickets":["8a85745dbcdbc0ffb1eb1bd8c6f96518","52f5674707bbe39a3d6fae43bd313af5"],"names":{"reminder":"52f5674707bbe39a3d6fae43bd313af5"},"done":false}','{"correlation":"call-7","cause":8,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(28,1740571200000000,5,1,'leftfold.ticket:eb3ccaee209a309672bf49f4b6d42a46','{"ticket":"eb3ccaee209a309672bf49f4b6d42a46","command":"depot.send","command_version":1,"data":{"parcel":"bad scales letters van"}}','{"command":"eb3ccaee209a309672bf49f4b6d42a46","command_type":"depot.send","correlation":"call-7","cause":9,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(29,1740571200000000,5,1,'leftfold.ticket:cd376de7ec069f5863234505ba0b7451','{"ticket":"cd376de7ec069f5863234505ba0b7451","command":"depot.remind","command_version":1,"data":{"parcel":"bad scales letters van"},"due":"2025-02-28T12:00:00Z"}','{"command":"cd376de7ec069f5863234505ba0b7451","command_type":"depot.remind","correlation":"call-7","cause":9,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(30,1740571200000000,7,1,'leftfold.process:depot.transport/bad scales letters van','{"instance":"depot.transport/bad scales letters van","position":9,"tickets":["eb3ccaee209a309672bf49f4b6d42a46","cd376de7ec069f5863234505ba0b7451"],"names":{"reminder":"cd376de7ec069f5863234505ba0b7451"},"done":false}','{"correlation":"call-7","cause":9,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(31,1740571200000000,6,1,'leftfold.process:depot.transport/worse scales letters transport','{"instance":"depot.transport/worse scales letters transport","position":10,"error":"ValueError: worse scales letters transport does not go through the transport","traceback":"Traceback (most recent call last):\n  File \"/srv/depot/src/leftfold/process/process_worker.py\", line 251, in _react\n    actions = self.definition.react(held.state, event)\n              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/srv/depot/src/leftfold/process/definition.py\", line 88, in react\n    reaction: Reaction = self._react(state, event)\n                         ^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/srv/depot/tests/formats/depot.py\", line 196, in react\n    check(event.parcel, \"transport\")\n  File \"/srv/depot/tests/formats/depot.py\", line 55, in check\n    raise ValueError(f\"{parcel} does not go through the {where}\")\nValueError: worse scales letters transport does not go through the transport"}','{"correlation":"call-7","cause":10,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(32,1740571200000000,6,1,'leftfold.process:depot.transport/bad transport','{"instance":"depot.transport/bad transport","position":11,"error":"ValueError: bad transport does not go through the transport","traceback":"Traceback (most recent call last):\n  File \"/srv/depot/src/leftfold/process/process_worker.py\", line 251, in _react\n    actions = self.definition.react(held.state, event)\n              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/srv/depot/src/leftfold/process/definition.py\", line 88, in react\n    reaction: Reaction = self._react(state, event)\n                         ^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/srv/depot/tests/formats/depot.py\", line 196, in react\n    check(event.parcel, \"transport\")\n  File \"/srv/depot/tests/formats/depot.py\", line 55, in check\n    raise ValueError(f\"{parcel} does not go through the {where}\")\nValueError: bad transport does not go through the transport"}','{"correlation":"call-7","cause":11,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(33,1740571200000000,5,1,'leftfold.ticket:89017353ab7fe3720ba30e7ed11a0871','{"ticket":"89017353ab7fe3720ba30e7ed11a0871","command":"depot.send","command_version":1,"data":{"parcel":"bad stops"}}','{"command":"89017353ab7fe3720ba30e7ed11a0871","command_type":"depot.send","correlation":"call-7","cause":12,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(34,1740571200000000,5,1,'leftfold.ticket:d798f08ac2bb43330939974833aec6fb','{"ticket":"d798f08ac2bb43330939974833aec6fb","command":"depot.remind","command_version":1,"data":{"parcel":"bad stops"},"due":"2025-02-28T12:00:00Z"}','{"command":"d798f08ac2bb43330939974833aec6fb","command_type":"depot.remind","correlation":"call-7","cause":12,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(35,1740571200000000,7,1,'leftfold.process:depot.transport/bad stops','{"instance":"depot.transport/bad stops","position":12,"tickets":["89017353ab7fe3720ba30e7ed11a0871","d798f08ac2bb43330939974833aec6fb"],"names":{"reminder":"d798f08ac2bb43330939974833aec6fb"},"done":false}','{"correlation":"call-7","cause":12,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(36,1740571200000000,8,1,'leftfold.process:depot.transport','{"process":"depot.transport","position":12,"types":["depot.booked","depot.delivered","depot.reminded"]}','{}');
INSERT INTO "event" VALUES(37,1740571200000000,8,1,'leftfold.process:depot.farewell','{"process":"depot.farewell","position":36,"types":["depot.delivered"]}','{}');
INSERT INTO "event" VALUES(38,1740571200000000,1,1,'leftfold.reactor:letters','{"reactor":"letters","position":0,"waiting":[],"types":["depot.booked"]}','{}');
INSERT INTO "event" VALUES(39,1740571200000000,9,1,'leftfold.reactor:letters','{"reactor":"letters","position":9,"attempt":1,"error":"ValueError: bad scales letters van does not go through the letters","due":"2025-02-27T05:25:42.796712Z"}','{"correlation":"call-7","cause":9}');
INSERT INTO "event" VALUES(40,1740571200000000,9,1,'leftfold.reactor:letters','{"reactor":"letters","position":10,"attempt":1,"error":"ValueError: worse scales letters transport does not go through the letters","due":"2025-02-27T06:43:02.167079Z"}','{"correlation":"call-7","cause":10}');
INSERT INTO "event" VALUES(41,1740571200000000,10,1,'leftfold.reactor:letters','{"reactor":"letters","position":37,"again":[]}','{}');
INSERT INTO "event" VALUES(42,1740571200000000,12,1,'parcel:imported','{"parcel":"imported","at":"2025-02-26T12:00:00Z"}','{"command":"bff80025d4edd00f356f7ac7c1dba31d","command_type":"depot.send","correlation":"db5b5fab8f4d4e279da1494c73cf256d","cause":2,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(43,1740571200000000,13,1,'leftfold.ticket:bff80025d4edd00f356f7ac7c1dba31d','{"ticket":"bff80025d4edd00f356f7ac7c1dba31d","events":1}','{"command":"bff80025d4edd00f356f7ac7c1dba31d","command_type":"depot.send","correlation":"db5b5fab8f4d4e279da1494c73cf256d","cause":2,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(44,1740571200000000,11,1,'parcel:imported','{"parcel":"imported"}','{"command":"293733ab9e39481d95f3f9100b55a691","command_type":"depot.remind","correlation":"db5b5fab8f4d4e279da1494c73cf256d","cause":2,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(45,1740571200000000,13,1,'leftfold.ticket:293733ab9e39481d95f3f9100b55a691','{"ticket":"293733ab9e39481d95f3f9100b55a691","events":1}','{"command":"293733ab9e39481d95f3f9100b55a691","command_type":"depot.remind","correlation":"db5b5fab8f4d4e279da1494c73cf256d","cause":2,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(46,1740571200000000,12,1,'parcel:v1','{"parcel":"v1","at":"2025-02-26T12:00:00Z"}','{"command":"f354772e71cb42baf7d2c99c514dc4bb","command_type":"depot.send","correlation":"f354772e71cb42baf7d2c99c514dc4bb","cause":3,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(47,1740571200000000,13,1,'leftfold.ticket:f354772e71cb42baf7d2c99c514dc4bb','{"ticket":"f354772e71cb42baf7d2c99c514dc4bb","events":1}','{"command":"f354772e71cb42baf7d2c99c514dc4bb","command_type":"depot.send","correlation":"f354772e71cb42baf7d2c99c514dc4bb","cause":3,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(48,1740571200000000,12,1,'parcel:cancelled','{"parcel":"cancelled","at":"2025-02-26T12:00:00Z"}','{"command":"2bc5753c57f500792202ac75c56e62d3","command_type":"depot.send","correlation":"call-7","cause":6,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(49,1740571200000000,13,1,'leftfold.ticket:2bc5753c57f500792202ac75c56e62d3','{"ticket":"2bc5753c57f500792202ac75c56e62d3","events":1}','{"command":"2bc5753c57f500792202ac75c56e62d3","command_type":"depot.send","correlation":"call-7","cause":6,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(50,1740571200000000,12,1,'parcel:p1','{"parcel":"p1","at":"2025-02-26T12:00:00Z"}','{"command":"ec11dc66994a8b38f771727864d68dd7","command_type":"depot.send","correlation":"call-7","cause":7,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(51,1740571200000000,13,1,'leftfold.ticket:ec11dc66994a8b38f771727864d68dd7','{"ticket":"ec11dc66994a8b38f771727864d68dd7","events":1}','{"command":"ec11dc66994a8b38f771727864d68dd7","command_type":"depot.send","correlation":"call-7","cause":7,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(52,1740571200000000,12,1,'parcel:p2','{"parcel":"p2","at":"2025-02-26T12:00:00Z"}','{"command":"8a85745dbcdbc0ffb1eb1bd8c6f96518","command_type":"depot.send","correlation":"call-7","cause":8,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(53,1740571200000000,13,1,'leftfold.ticket:8a85745dbcdbc0ffb1eb1bd8c6f96518','{"ticket":"8a85745dbcdbc0ffb1eb1bd8c6f96518","events":1}','{"command":"8a85745dbcdbc0ffb1eb1bd8c6f96518","command_type":"depot.send","correlation":"call-7","cause":8,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(54,1740571200000000,14,1,'leftfold.ticket:eb3ccaee209a309672bf49f4b6d42a46','{"ticket":"eb3ccaee209a309672bf49f4b6d42a46","attempt":1,"error":"ValueError: bad scales letters van does not go through the van","due":"2025-02-26T12:00:57.726318Z"}','{"command":"eb3ccaee209a309672bf49f4b6d42a46","command_type":"depot.send","correlation":"call-7","cause":9,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(55,1740571200000000,12,1,'parcel:bad stops','{"parcel":"bad stops","at":"2025-02-26T12:00:00Z"}','{"command":"89017353ab7fe3720ba30e7ed11a0871","command_type":"depot.send","correlation":"call-7","cause":12,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(56,1740571200000000,13,1,'leftfold.ticket:89017353ab7fe3720ba30e7ed11a0871','{"ticket":"89017353ab7fe3720ba30e7ed11a0871","events":1}','{"command":"89017353ab7fe3720ba30e7ed11a0871","command_type":"depot.send","correlation":"call-7","cause":12,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(57,1740571200000000,15,1,'','{"position":41,"open":["d3f126323eae3ccd3c3a4716efba066d","c2f7e3003b7416c33f40f2b9361b150b","d8f612f4d9a343c82acec375d87646fb","52f5674707bbe39a3d6fae43bd313af5","cd376de7ec069f5863234505ba0b7451","d798f08ac2bb43330939974833aec6fb"]}','{}');
INSERT INTO "event" VALUES(58,1740571200000000,5,1,'leftfold.ticket:ee5063bf8a66700329aac300c9e15c29','{"ticket":"ee5063bf8a66700329aac300c9e15c29","command":"depot.remind","command_version":1,"data":{"parcel":"imported"},"due":"2025-02-28T12:00:00Z"}','{"command":"ee5063bf8a66700329aac300c9e15c29","command_type":"depot.remind","correlation":"db5b5fab8f4d4e279da1494c73cf256d","cause":44,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(59,1740571200000000,7,1,'leftfold.process:depot.transport/imported','{"instance":"depot.transport/imported","position":44,"tickets":["ee5063bf8a66700329aac300c9e15c29"],"names":{"reminder":"ee5063bf8a66700329aac300c9e15c29"},"done":false}','{"correlation":"db5b5fab8f4d4e279da1494c73cf256d","cause":44,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(60,1740571200000000,8,1,'leftfold.process:depot.transport','{"process":"depot.transport","position":57,"types":["depot.booked","depot.delivered","depot.reminded"]}','{}');
INSERT INTO "event" VALUES(61,1740657600000000,16,1,'leftfold.ticket:eb3ccaee209a309672bf49f4b6d42a46','{"ticket":"eb3ccaee209a309672bf49f4b6d42a46","attempt":2,"error":"ValueError: bad scales letters van does not go through the van","next":null,"traceback":"Traceback (most recent call last):\n  File \"/srv/depot/src/leftfold/command/inbox_worker.py\", line 295, in _after\n    await self._executor.settle(command, record.state, record.metadata)\n  File \"/srv/depot/src/leftfold/command/executor.py\", line 91, in settle\n    return await self._carry_out(Decision(Settling(handler), command, states, metadata, None), None)\n           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/srv/depot/src/leftfold/command/executor.py\", line 176, in _carry_out\n    return await self._try(decision, key)\n           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/srv/depot/src/leftfold/command/executor.py\", line 186, in _try\n    working = await self._settle([decision], decision.states)\n              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/srv/depot/src/leftfold/command/executor.py\", line 325, in _settle\n    decision.decide(self._registry, working, self._clock.now())\n  File \"/srv/depot/src/leftfold/command/decision.py\", line 47, in decide\n    decided = self.handler.decide(self.command, map(working.value, self.states), context)\n              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/srv/depot/src/leftfold/command/settling.py\", line 41, in decide\n    events = self._handler.decide(command, models, context)\n             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/srv/depot/src/leftfold/command/handler.py\", line 79, in decide\n    return self._as_events(self._checked(**arguments))\n                           ^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/srv/depot/tests/formats/depot.py\", line 304, in send\n    check(command.parcel, \"van\")\n  File \"/srv/depot/tests/formats/depot.py\", line 55, in check\n    raise ValueError(f\"{parcel} does not go through the {where}\")\nValueError: bad scales letters van does not go through the van"}','{"command":"eb3ccaee209a309672bf49f4b6d42a46","command_type":"depot.send","correlation":"call-7","cause":9,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(62,1740657600000000,17,1,'leftfold.reactor:letters','{"reactor":"letters","position":9,"attempt":2,"error":"ValueError: bad scales letters van does not go through the letters","traceback":"Traceback (most recent call last):\n  File \"/srv/depot/src/leftfold/process/reactor_worker.py\", line 212, in _attempt\n    await self._call(event, delivery)\n  File \"/srv/depot/src/leftfold/process/reactor_worker.py\", line 227, in _call\n    made = await asyncio.get_running_loop().run_in_executor(self._threads, call)\n           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/srv/python/lib/python3.11/concurrent/futures/thread.py\", line 58, in run\n    result = self.fn(*self.args, **self.kwargs)\n             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/srv/depot/src/leftfold/process/reactor_worker.py\", line 225, in call\n    return context.run(self.definition.call, event, delivery)\n           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/srv/depot/src/leftfold/process/reactor.py\", line 71, in call\n    return self.function(event, delivery) if self.takes_delivery else self.function(event)\n           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/srv/depot/tests/formats/depot.py\", line 285, in send_letter\n    check(event.parcel, \"letters\")\n  File \"/srv/depot/tests/formats/depot.py\", line 55, in check\n    raise ValueError(f\"{parcel} does not go through the {where}\")\nValueError: bad scales letters van does not go through the letters"}','{"correlation":"call-7","cause":9}');
INSERT INTO "event" VALUES(63,1740657600000000,17,1,'leftfold.reactor:letters','{"reactor":"letters","position":10,"attempt":2,"error":"ValueError: worse scales letters transport does not go through the letters","traceback":"Traceback (most recent call last):\n  File \"/srv/depot/src/leftfold/process/reactor_worker.py\", line 212, in _attempt\n    await self._call(event, delivery)\n  File \"/srv/depot/src/leftfold/process/reactor_worker.py\", line 227, in _call\n    made = await asyncio.get_running_loop().run_in_executor(self._threads, call)\n           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/srv/python/lib/python3.11/concurrent/futures/thread.py\", line 58, in run\n    result = self.fn(*self.args, **self.kwargs)\n             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/srv/depot/src/leftfold/process/reactor_worker.py\", line 225, in call\n    return context.run(self.definition.call, event, delivery)\n           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/srv/depot/src/leftfold/process/reactor.py\", line 71, in call\n    return self.function(event, delivery) if self.takes_delivery else self.function(event)\n           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/srv/depot/tests/formats/depot.py\", line 285, in send_letter\n    check(event.parcel, \"letters\")\n  File \"/srv/depot/tests/formats/depot.py\", line 55, in check\n    raise ValueError(f\"{parcel} does not go through the {where}\")\nValueError: worse scales letters transport does not go through the letters"}','{"correlation":"call-7","cause":10}');
INSERT INTO "event" VALUES(64,1740657600000000,10,1,'leftfold.reactor:letters','{"reactor":"letters","position":61,"again":[]}','{}');
INSERT INTO "event" VALUES(65,1740657600000000,18,1,'leftfold.reactor:letters','{"reactor":"letters","position":10}','{"actor":"sue","reason":"moved away"}');
INSERT INTO "event" VALUES(66,1740657600000000,19,1,'leftfold.process:depot.transport/bad transport','{"instance":"depot.transport/bad transport","position":11}','{"actor":"sue"}');
INSERT INTO "event" VALUES(67,1740657600000000,20,1,'leftfold.process:depot.transport/worse scales letters transport','{"instance":"depot.transport/worse scales letters transport","position":10}','{"actor":"sue","reason":"is lost"}');
INSERT INTO "event" VALUES(68,1740657600000000,22,1,'leftfold.process:depot.transport/cancelled','{"instance":"depot.transport/cancelled","tickets":["c2f7e3003b7416c33f40f2b9361b150b"]}','{"actor":"sue","reason":"bought elsewhere"}');
INSERT INTO "event" VALUES(69,1740657600000000,21,1,'leftfold.ticket:c2f7e3003b7416c33f40f2b9361b150b','{"ticket":"c2f7e3003b7416c33f40f2b9361b150b"}','{"actor":"sue","reason":"bought elsewhere"}');
INSERT INTO "event" VALUES(70,1740657600000000,23,1,'leftfold.read_model:weight','{"table":"weight","key":["worse scales letters transport"],"position":10,"problem":"ValueError: worse scales letters transport does not go through the scales"}','{"cause":10,"actor":"sue","reason":"no scales that large"}');
INSERT INTO "event" VALUES(71,1740657600000000,24,1,'leftfold.ticket:eb3ccaee209a309672bf49f4b6d42a46','{"ticket":"eb3ccaee209a309672bf49f4b6d42a46"}','{}');
INSERT INTO "event" VALUES(72,1740657600000000,25,1,'parcel:p1','{"parcel":"p1"}','{"command":"a66b0d389d95447ebd299753a7677796","command_type":"depot.deliver","correlation":"a66b0d389d95447ebd299753a7677796"}');
INSERT INTO "event" VALUES(73,1740657600000000,25,1,'parcel:bad stops','{"parcel":"bad stops"}','{"command":"d4ea65d003d746849f8558a628518867","command_type":"depot.deliver","correlation":"d4ea65d003d746849f8558a628518867"}');
INSERT INTO "event" VALUES(74,1740657600000000,11,1,'parcel:bad scales letters van','{"parcel":"bad scales letters van"}','{"command":"09208a650f3e4dd3902b938b8743feb6","command_type":"depot.remind","correlation":"09208a650f3e4dd3902b938b8743feb6"}');
INSERT INTO "event" VALUES(75,1740657600000000,5,1,'leftfold.ticket:998092253def4a38a12b2b8f30b17d0b','{"ticket":"998092253def4a38a12b2b8f30b17d0b","command":"depot.deliver","command_version":1,"data":{"parcel":"nowhere"}}','{"command":"998092253def4a38a12b2b8f30b17d0b","command_type":"depot.deliver","correlation":"998092253def4a38a12b2b8f30b17d0b"}');
INSERT INTO "event" VALUES(76,1740657600000000,5,1,'leftfold.ticket:c56f5e0286c85cd7c572f343f234d398','{"ticket":"c56f5e0286c85cd7c572f343f234d398","command":"depot.count","command_version":1,"data":{"name":"once"}}','{"command":"c56f5e0286c85cd7c572f343f234d398","command_type":"depot.count","correlation":"c56f5e0286c85cd7c572f343f234d398"}');
INSERT INTO "event" VALUES(77,1740657600000000,5,1,'leftfold.ticket:5387f61376c448ae87321cc007b37e14','{"ticket":"5387f61376c448ae87321cc007b37e14","command":"depot.count","command_version":1,"data":{"name":"bad count"}}','{"command":"5387f61376c448ae87321cc007b37e14","command_type":"depot.count","correlation":"5387f61376c448ae87321cc007b37e14"}');
INSERT INTO "event" VALUES(78,1740657600000000,5,1,'leftfold.ticket:320094ead7a94ded97491e2370c6a5b8','{"ticket":"320094ead7a94ded97491e2370c6a5b8","command":"depot.count","command_version":1,"data":{"name":"later"},"due":"2025-03-05T00:00:00Z"}','{"command":"320094ead7a94ded97491e2370c6a5b8","command_type":"depot.count","correlation":"320094ead7a94ded97491e2370c6a5b8"}');
INSERT INTO "event" VALUES(79,1740657600000000,5,1,'leftfold.ticket:a6835ef51a3c7286a74f2d5211ad1fb6
leftfold.recurring:a6835ef51a3c7286a74f2d5211ad1fb6','{"ticket":"a6835ef51a3c7286a74f2d5211ad1fb6","command":"depot.count","command_version":1,"data":{"name":"hourly"},"due":"2025-02-27T18:00:00Z","series":"a6835ef51a3c7286a74f2d5211ad1fb6","recurrence":{"first":"2025-02-27T18:00:00Z","every":"PT21600S"}}','{"command":"a6835ef51a3c7286a74f2d5211ad1fb6","command_type":"depot.count","correlation":"a6835ef51a3c7286a74f2d5211ad1fb6"}');
INSERT INTO "event" VALUES(80,1740657600000000,5,1,'leftfold.ticket:6da6a6da83ab613740b32a43c2835483
leftfold.recurring:6da6a6da83ab613740b32a43c2835483','{"ticket":"6da6a6da83ab613740b32a43c2835483","command":"depot.count","command_version":1,"data":{"name":"daily"},"due":"2025-02-28T02:00:00Z","series":"6da6a6da83ab613740b32a43c2835483","recurrence":{"first":"2025-02-28T02:00:00Z","every":{"at":"03:00:00","zone":"Europe/Vienna"}}}','{"command":"6da6a6da83ab613740b32a43c2835483","command_type":"depot.count","correlation":"6da6a6da83ab613740b32a43c2835483"}');
INSERT INTO "event" VALUES(81,1740657600000000,5,1,'leftfold.ticket:4b4d8474a3ea484dbbd0334684e55160','{"ticket":"4b4d8474a3ea484dbbd0334684e55160","command":"depot.count","command_version":1,"data":{"name":"never"},"due":"2025-03-08T12:00:00Z"}','{"command":"4b4d8474a3ea484dbbd0334684e55160","command_type":"depot.count","correlation":"4b4d8474a3ea484dbbd0334684e55160"}');
INSERT INTO "event" VALUES(82,1740657600000000,21,1,'leftfold.ticket:4b4d8474a3ea484dbbd0334684e55160','{"ticket":"4b4d8474a3ea484dbbd0334684e55160"}','{}');
INSERT INTO "event" VALUES(83,1740657600000000,14,1,'leftfold.ticket:eb3ccaee209a309672bf49f4b6d42a46','{"ticket":"eb3ccaee209a309672bf49f4b6d42a46","attempt":1,"error":"ValueError: bad scales letters van does not go through the van","due":"2025-02-27T12:00:45.235238Z"}','{"command":"eb3ccaee209a309672bf49f4b6d42a46","command_type":"depot.send","correlation":"call-7","cause":9,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(84,1740657600000000,27,1,'leftfold.ticket:998092253def4a38a12b2b8f30b17d0b','{"ticket":"998092253def4a38a12b2b8f30b17d0b","reason":"not sent","details":{"parcel":"nowhere","since":null}}','{"command":"998092253def4a38a12b2b8f30b17d0b","command_type":"depot.deliver","correlation":"998092253def4a38a12b2b8f30b17d0b"}');
INSERT INTO "event" VALUES(85,1740657600000000,26,1,'','{"name":"once"}','{"command":"c56f5e0286c85cd7c572f343f234d398","command_type":"depot.count","correlation":"c56f5e0286c85cd7c572f343f234d398"}');
INSERT INTO "event" VALUES(86,1740657600000000,13,1,'leftfold.ticket:c56f5e0286c85cd7c572f343f234d398','{"ticket":"c56f5e0286c85cd7c572f343f234d398","events":1}','{"command":"c56f5e0286c85cd7c572f343f234d398","command_type":"depot.count","correlation":"c56f5e0286c85cd7c572f343f234d398"}');
INSERT INTO "event" VALUES(87,1740657600000000,14,1,'leftfold.ticket:5387f61376c448ae87321cc007b37e14','{"ticket":"5387f61376c448ae87321cc007b37e14","attempt":1,"error":"ValueError: bad count does not go through the count","due":"2025-02-27T12:00:47.621545Z"}','{"command":"5387f61376c448ae87321cc007b37e14","command_type":"depot.count","correlation":"5387f61376c448ae87321cc007b37e14"}');
INSERT INTO "event" VALUES(88,1740657600000000,15,1,'','{"position":82,"open":["d3f126323eae3ccd3c3a4716efba066d","d8f612f4d9a343c82acec375d87646fb","52f5674707bbe39a3d6fae43bd313af5","cd376de7ec069f5863234505ba0b7451","d798f08ac2bb43330939974833aec6fb","ee5063bf8a66700329aac300c9e15c29","320094ead7a94ded97491e2370c6a5b8","a6835ef51a3c7286a74f2d5211ad1fb6","6da6a6da83ab613740b32a43c2835483"]}','{}');
INSERT INTO "event" VALUES(89,1740657600000000,6,1,'leftfold.process:depot.transport/bad transport','{"instance":"depot.transport/bad transport","position":11,"error":"ValueError: bad transport does not go through the transport","traceback":"Traceback (most recent call last):\n  File \"/srv/depot/src/leftfold/process/process_worker.py\", line 251, in _react\n    actions = self.definition.react(held.state, event)\n              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/srv/depot/src/leftfold/process/definition.py\", line 88, in react\n    reaction: Reaction = self._react(state, event)\n                         ^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/srv/depot/tests/formats/depot.py\", line 196, in react\n    check(event.parcel, \"transport\")\n  File \"/srv/depot/tests/formats/depot.py\", line 55, in check\n    raise ValueError(f\"{parcel} does not go through the {where}\")\nValueError: bad transport does not go through the transport"}','{"correlation":"call-7","cause":11,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(90,1740657600000000,21,1,'leftfold.ticket:d8f612f4d9a343c82acec375d87646fb','{"ticket":"d8f612f4d9a343c82acec375d87646fb"}','{"correlation":"a66b0d389d95447ebd299753a7677796","cause":72,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(91,1740657600000000,7,1,'leftfold.process:depot.transport/p1','{"instance":"depot.transport/p1","position":72,"tickets":[],"names":{},"done":true}','{"correlation":"a66b0d389d95447ebd299753a7677796","cause":72,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(92,1740657600000000,21,1,'leftfold.ticket:d798f08ac2bb43330939974833aec6fb','{"ticket":"d798f08ac2bb43330939974833aec6fb"}','{"correlation":"d4ea65d003d746849f8558a628518867","cause":73,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(93,1740657600000000,7,1,'leftfold.process:depot.transport/bad stops','{"instance":"depot.transport/bad stops","position":73,"tickets":[],"names":{},"done":true}','{"correlation":"d4ea65d003d746849f8558a628518867","cause":73,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(94,1740657600000000,5,1,'leftfold.ticket:62f2a2ea5d330687d2cefdcbd07be8df','{"ticket":"62f2a2ea5d330687d2cefdcbd07be8df","command":"depot.remind","command_version":1,"data":{"parcel":"bad scales letters van"},"due":"2025-03-01T12:00:00Z"}','{"command":"62f2a2ea5d330687d2cefdcbd07be8df","command_type":"depot.remind","correlation":"09208a650f3e4dd3902b938b8743feb6","cause":74,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(95,1740657600000000,7,1,'leftfold.process:depot.transport/bad scales letters van','{"instance":"depot.transport/bad scales letters van","position":74,"tickets":["62f2a2ea5d330687d2cefdcbd07be8df"],"names":{"reminder":"62f2a2ea5d330687d2cefdcbd07be8df"},"done":false}','{"correlation":"09208a650f3e4dd3902b938b8743feb6","cause":74,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(96,1740657600000000,5,1,'leftfold.ticket:d7c7eb188f2ece1c5e63d237bab59aff','{"ticket":"d7c7eb188f2ece1c5e63d237bab59aff","command":"depot.count","command_version":1,"data":{"name":"farewell to p1"}}','{"command":"d7c7eb188f2ece1c5e63d237bab59aff","command_type":"depot.count","correlation":"a66b0d389d95447ebd299753a7677796","cause":72,"extra":{"process":"depot.farewell"}}');
INSERT INTO "event" VALUES(97,1740657600000000,7,1,'leftfold.process:depot.farewell/p1','{"instance":"depot.farewell/p1","position":72,"tickets":["d7c7eb188f2ece1c5e63d237bab59aff"],"names":{},"done":false}','{"correlation":"a66b0d389d95447ebd299753a7677796","cause":72,"extra":{"process":"depot.farewell"}}');
INSERT INTO "event" VALUES(98,1740657600000000,5,1,'leftfold.ticket:58840311ecafaadeded0d5f3e0876e9a','{"ticket":"58840311ecafaadeded0d5f3e0876e9a","command":"depot.count","command_version":1,"data":{"name":"farewell to bad stops"}}','{"command":"58840311ecafaadeded0d5f3e0876e9a","command_type":"depot.count","correlation":"d4ea65d003d746849f8558a628518867","cause":73,"extra":{"process":"depot.farewell"}}');
INSERT INTO "event" VALUES(99,1740657600000000,7,1,'leftfold.process:depot.farewell/bad stops','{"instance":"depot.farewell/bad stops","position":73,"tickets":["58840311ecafaadeded0d5f3e0876e9a"],"names":{},"done":false}','{"correlation":"d4ea65d003d746849f8558a628518867","cause":73,"extra":{"process":"depot.farewell"}}');
INSERT INTO "event" VALUES(100,1740657600000000,8,1,'leftfold.process:depot.farewell','{"process":"depot.farewell","position":95,"types":["depot.delivered"]}','{}');
INSERT INTO "event" VALUES(101,1740657600000000,10,1,'leftfold.reactor:bells','{"reactor":"bells","position":72,"again":[]}','{}');
INSERT INTO "event" VALUES(102,1740657600000000,26,1,'','{"name":"farewell to p1"}','{"command":"d7c7eb188f2ece1c5e63d237bab59aff","command_type":"depot.count","correlation":"a66b0d389d95447ebd299753a7677796","cause":72,"extra":{"process":"depot.farewell"}}');
INSERT INTO "event" VALUES(103,1740657600000000,13,1,'leftfold.ticket:d7c7eb188f2ece1c5e63d237bab59aff','{"ticket":"d7c7eb188f2ece1c5e63d237bab59aff","events":1}','{"command":"d7c7eb188f2ece1c5e63d237bab59aff","command_type":"depot.count","correlation":"a66b0d389d95447ebd299753a7677796","cause":72,"extra":{"process":"depot.farewell"}}');
INSERT INTO "event" VALUES(104,1740657600000000,26,1,'','{"name":"farewell to bad stops"}','{"command":"58840311ecafaadeded0d5f3e0876e9a","command_type":"depot.count","correlation":"d4ea65d003d746849f8558a628518867","cause":73,"extra":{"process":"depot.farewell"}}');
INSERT INTO "event" VALUES(105,1740657600000000,13,1,'leftfold.ticket:58840311ecafaadeded0d5f3e0876e9a','{"ticket":"58840311ecafaadeded0d5f3e0876e9a","events":1}','{"command":"58840311ecafaadeded0d5f3e0876e9a","command_type":"depot.count","correlation":"d4ea65d003d746849f8558a628518867","cause":73,"extra":{"process":"depot.farewell"}}');
INSERT INTO "event" VALUES(106,1740657600000000,8,1,'leftfold.process:depot.transport','{"process":"depot.transport","position":105,"types":["depot.booked","depot.delivered","depot.reminded"]}','{}');
INSERT INTO "event" VALUES(107,1740657600000000,10,1,'leftfold.reactor:bells','{"reactor":"bells","position":73,"again":[]}','{}');
INSERT INTO "event" VALUES(108,1740657900000000,16,1,'leftfold.ticket:eb3ccaee209a309672bf49f4b6d42a46','{"ticket":"eb3ccaee209a309672bf49f4b6d42a46","attempt":2,"error":"ValueError: bad scales letters van does not go through the van","next":null,"traceback":"Traceback (most recent call last):\n  File \"/srv/depot/src/leftfold/command/inbox_worker.py\", line 295, in _after\n    await self._executor.settle(command, record.state, record.metadata)\n  File \"/srv/depot/src/leftfold/command/executor.py\", line 91, in settle\n    return await self._carry_out(Decision(Settling(handler), command, states, metadata, None), None)\n           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/srv/depot/src/leftfold/command/executor.py\", line 176, in _carry_out\n    return await self._try(decision, key)\n           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/srv/depot/src/leftfold/command/executor.py\", line 186, in _try\n    working = await self._settle([decision], decision.states)\n              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/srv/depot/src/leftfold/command/executor.py\", line 325, in _settle\n    decision.decide(self._registry, working, self._clock.now())\n  File \"/srv/depot/src/leftfold/command/decision.py\", line 47, in decide\n    decided = self.handler.decide(self.command, map(working.value, self.states), context)\n              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/srv/depot/src/leftfold/command/settling.py\", line 41, in decide\n    events = self._handler.decide(command, models, context)\n             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/srv/depot/src/leftfold/command/handler.py\", line 79, in decide\n    return self._as_events(self._checked(**arguments))\n                           ^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/srv/depot/tests/formats/depot.py\", line 304, in send\n    check(command.parcel, \"van\")\n  File \"/srv/depot/tests/formats/depot.py\", line 55, in check\n    raise ValueError(f\"{parcel} does not go through the {where}\")\nValueError: bad scales letters van does not go through the van"}','{"command":"eb3ccaee209a309672bf49f4b6d42a46","command_type":"depot.send","correlation":"call-7","cause":9,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(109,1740657900000000,16,1,'leftfold.ticket:5387f61376c448ae87321cc007b37e14','{"ticket":"5387f61376c448ae87321cc007b37e14","attempt":2,"error":"ValueError: bad count does not go through the count","next":null,"traceback":"Traceback (most recent call last):\n  File \"/srv/depot/src/leftfold/command/inbox_worker.py\", line 295, in _after\n    await self._executor.settle(command, record.state, record.metadata)\n  File \"/srv/depot/src/leftfold/command/executor.py\", line 91, in settle\n    return await self._carry_out(Decision(Settling(handler), command, states, metadata, None), None)\n           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/srv/depot/src/leftfold/command/executor.py\", line 176, in _carry_out\n    return await self._try(decision, key)\n           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/srv/depot/src/leftfold/command/executor.py\", line 186, in _try\n    working = await self._settle([decision], decision.states)\n              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/srv/depot/src/leftfold/command/executor.py\", line 325, in _settle\n    decision.decide(self._registry, working, self._clock.now())\n  File \"/srv/depot/src/leftfold/command/decision.py\", line 47, in decide\n    decided = self.handler.decide(self.command, map(working.value, self.states), context)\n              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/srv/depot/src/leftfold/command/settling.py\", line 41, in decide\n    events = self._handler.decide(command, models, context)\n             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/srv/depot/src/leftfold/command/handler.py\", line 79, in decide\n    return self._as_events(self._checked(**arguments))\n                           ^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/srv/depot/tests/formats/depot.py\", line 322, in count\n    check(command.name, \"count\")\n  File \"/srv/depot/tests/formats/depot.py\", line 55, in check\n    raise ValueError(f\"{parcel} does not go through the {where}\")\nValueError: bad count does not go through the count"}','{"command":"5387f61376c448ae87321cc007b37e14","command_type":"depot.count","correlation":"5387f61376c448ae87321cc007b37e14"}');
INSERT INTO "event" VALUES(110,1740657900000000,15,1,'','{"position":109,"open":["d3f126323eae3ccd3c3a4716efba066d","52f5674707bbe39a3d6fae43bd313af5","cd376de7ec069f5863234505ba0b7451","ee5063bf8a66700329aac300c9e15c29","320094ead7a94ded97491e2370c6a5b8","a6835ef51a3c7286a74f2d5211ad1fb6","6da6a6da83ab613740b32a43c2835483","62f2a2ea5d330687d2cefdcbd07be8df"]}','{}');
INSERT INTO "event" VALUES(111,1740679200000000,26,1,'','{"name":"hourly"}','{"command":"a6835ef51a3c7286a74f2d5211ad1fb6","command_type":"depot.count","correlation":"a6835ef51a3c7286a74f2d5211ad1fb6"}');
INSERT INTO "event" VALUES(112,1740679200000000,13,1,'leftfold.ticket:a6835ef51a3c7286a74f2d5211ad1fb6','{"ticket":"a6835ef51a3c7286a74f2d5211ad1fb6","events":1}','{"command":"a6835ef51a3c7286a74f2d5211ad1fb6","command_type":"depot.count","correlation":"a6835ef51a3c7286a74f2d5211ad1fb6"}');
INSERT INTO "event" VALUES(113,1740679200000000,5,1,'leftfold.ticket:01780ffba90968096c03dc9a83b42b47
leftfold.recurring:a6835ef51a3c7286a74f2d5211ad1fb6','{"ticket":"01780ffba90968096c03dc9a83b42b47","command":"depot.count","command_version":1,"data":{"name":"hourly"},"due":"2025-02-28T00:00:00Z","series":"a6835ef51a3c7286a74f2d5211ad1fb6","recurrence":{"first":"2025-02-27T18:00:00Z","every":"PT21600S"}}','{"command":"a6835ef51a3c7286a74f2d5211ad1fb6","command_type":"depot.count","correlation":"a6835ef51a3c7286a74f2d5211ad1fb6"}');
INSERT INTO "event" VALUES(114,1740700800000000,26,1,'','{"name":"hourly"}','{"command":"01780ffba90968096c03dc9a83b42b47","command_type":"depot.count","correlation":"a6835ef51a3c7286a74f2d5211ad1fb6"}');
INSERT INTO "event" VALUES(115,1740700800000000,13,1,'leftfold.ticket:01780ffba90968096c03dc9a83b42b47','{"ticket":"01780ffba90968096c03dc9a83b42b47","events":1}','{"command":"01780ffba90968096c03dc9a83b42b47","command_type":"depot.count","correlation":"a6835ef51a3c7286a74f2d5211ad1fb6"}');
INSERT INTO "event" VALUES(116,1740700800000000,5,1,'leftfold.ticket:6f5539a5538a50d9663b0e9c28dcaad2
leftfold.recurring:a6835ef51a3c7286a74f2d5211ad1fb6','{"ticket":"6f5539a5538a50d9663b0e9c28dcaad2","command":"depot.count","command_version":1,"data":{"name":"hourly"},"due":"2025-02-28T06:00:00Z","series":"a6835ef51a3c7286a74f2d5211ad1fb6","recurrence":{"first":"2025-02-27T18:00:00Z","every":"PT21600S"}}','{"command":"01780ffba90968096c03dc9a83b42b47","command_type":"depot.count","correlation":"a6835ef51a3c7286a74f2d5211ad1fb6"}');
INSERT INTO "event" VALUES(117,1740711600000000,26,1,'','{"name":"daily"}','{"command":"6da6a6da83ab613740b32a43c2835483","command_type":"depot.count","correlation":"6da6a6da83ab613740b32a43c2835483"}');
INSERT INTO "event" VALUES(118,1740711600000000,13,1,'leftfold.ticket:6da6a6da83ab613740b32a43c2835483','{"ticket":"6da6a6da83ab613740b32a43c2835483","events":1}','{"command":"6da6a6da83ab613740b32a43c2835483","command_type":"depot.count","correlation":"6da6a6da83ab613740b32a43c2835483"}');
INSERT INTO "event" VALUES(119,1740711600000000,5,1,'leftfold.ticket:e54c641b8f5bb3d025fe71da37459d5f
leftfold.recurring:6da6a6da83ab613740b32a43c2835483','{"ticket":"e54c641b8f5bb3d025fe71da37459d5f","command":"depot.count","command_version":1,"data":{"name":"daily"},"due":"2025-03-01T02:00:00Z","series":"6da6a6da83ab613740b32a43c2835483","recurrence":{"first":"2025-02-28T02:00:00Z","every":{"at":"03:00:00","zone":"Europe/Vienna"}}}','{"command":"6da6a6da83ab613740b32a43c2835483","command_type":"depot.count","correlation":"6da6a6da83ab613740b32a43c2835483"}');
INSERT INTO "event" VALUES(120,1740718800000000,2,2,'parcel:bad letters late
customer:ann','{"parcel":"bad letters late","customer":"ann","grams":50,"size":"small","fee":"2.50"}','{"command":"15c1d2dfa9964aef812d0ea67ff12229","command_type":"depot.book","correlation":"15c1d2dfa9964aef812d0ea67ff12229"}');
INSERT INTO "event" VALUES(121,1740718800000000,5,1,'leftfold.ticket:6822a6b247354f1ca7a1149075139237','{"ticket":"6822a6b247354f1ca7a1149075139237","command":"depot.count","command_version":1,"data":{"name":"bad count late"}}','{"command":"6822a6b247354f1ca7a1149075139237","command_type":"depot.count","correlation":"6822a6b247354f1ca7a1149075139237"}');
INSERT INTO "event" VALUES(122,1740718800000000,14,1,'leftfold.ticket:6822a6b247354f1ca7a1149075139237','{"ticket":"6822a6b247354f1ca7a1149075139237","attempt":1,"error":"ValueError: bad count late does not go through the count","due":"2025-02-28T05:00:48.896482Z"}','{"command":"6822a6b247354f1ca7a1149075139237","command_type":"depot.count","correlation":"6822a6b247354f1ca7a1149075139237"}');
INSERT INTO "event" VALUES(123,1740718800000000,5,1,'leftfold.ticket:09e740df29e8a13d2ac92200461270a3','{"ticket":"09e740df29e8a13d2ac92200461270a3","command":"depot.send","command_version":1,"data":{"parcel":"bad letters late"}}','{"command":"09e740df29e8a13d2ac92200461270a3","command_type":"depot.send","correlation":"15c1d2dfa9964aef812d0ea67ff12229","cause":120,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(124,1740718800000000,5,1,'leftfold.ticket:b2f48290b11bc3f7d63c58c0f8f20cf7','{"ticket":"b2f48290b11bc3f7d63c58c0f8f20cf7","command":"depot.remind","command_version":1,"data":{"parcel":"bad letters late"},"due":"2025-03-02T05:00:00Z"}','{"command":"b2f48290b11bc3f7d63c58c0f8f20cf7","command_type":"depot.remind","correlation":"15c1d2dfa9964aef812d0ea67ff12229","cause":120,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(125,1740718800000000,7,1,'leftfold.process:depot.transport/bad letters late','{"instance":"depot.transport/bad letters late","position":120,"tickets":["09e740df29e8a13d2ac92200461270a3","b2f48290b11bc3f7d63c58c0f8f20cf7"],"names":{"reminder":"b2f48290b11bc3f7d63c58c0f8f20cf7"},"done":false}','{"correlation":"15c1d2dfa9964aef812d0ea67ff12229","cause":120,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(126,1740718800000000,9,1,'leftfold.reactor:letters','{"reactor":"letters","position":120,"attempt":1,"error":"ValueError: bad letters late does not go through the letters","due":"2025-03-01T02:30:56.600893Z"}','{"correlation":"15c1d2dfa9964aef812d0ea67ff12229","cause":120}');
INSERT INTO "event" VALUES(127,1740718800000000,10,1,'leftfold.reactor:letters','{"reactor":"letters","position":125,"again":[]}','{}');
INSERT INTO "event" VALUES(128,1740718800000000,12,1,'parcel:bad letters late','{"parcel":"bad letters late","at":"2025-02-28T05:00:00Z"}','{"command":"09e740df29e8a13d2ac92200461270a3","command_type":"depot.send","correlation":"15c1d2dfa9964aef812d0ea67ff12229","cause":120,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(129,1740718800000000,13,1,'leftfold.ticket:09e740df29e8a13d2ac92200461270a3','{"ticket":"09e740df29e8a13d2ac92200461270a3","events":1}','{"command":"09e740df29e8a13d2ac92200461270a3","command_type":"depot.send","correlation":"15c1d2dfa9964aef812d0ea67ff12229","cause":120,"extra":{"process":"depot.transport"}}');
INSERT INTO "event" VALUES(130,1740718800000000,28,1,'leftfold.worker:commands of depot f83a4d97','{"worker":"commands of depot f83a4d97","holder":"32743@depot-1 0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0 pid:[4026531836] 3644975 99089cdbeaf94106a6d304ac70522ad5 depot 0","former":"32668@depot-1 0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0 pid:[4026531836] 3644796 81bbcdf3972443fcba0797c235e8bebf depot 0"}','{}');
INSERT INTO "event" VALUES(131,1740718800000000,28,1,'leftfold.worker:process depot.transport','{"worker":"process depot.transport","holder":"32743@depot-1 0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0 pid:[4026531836] 3644975 99089cdbeaf94106a6d304ac70522ad5 depot 0","former":"32668@depot-1 0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0 pid:[4026531836] 3644796 81bbcdf3972443fcba0797c235e8bebf depot 3"}','{}');
INSERT INTO "event" VALUES(132,1740718800000000,28,1,'leftfold.worker:process depot.farewell','{"worker":"process depot.farewell","holder":"32743@depot-1 0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0 pid:[4026531836] 3644975 99089cdbeaf94106a6d304ac70522ad5 depot 0","former":"32668@depot-1 0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0 pid:[4026531836] 3644796 81bbcdf3972443fcba0797c235e8bebf depot 1"}','{}');
INSERT INTO "event" VALUES(133,1740718800000000,28,1,'leftfold.worker:reactor letters','{"worker":"reactor letters","holder":"32743@depot-1 0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0 pid:[4026531836] 3644975 99089cdbeaf94106a6d304ac70522ad5 depot 0","former":"32668@depot-1 0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0 pid:[4026531836] 3644796 81bbcdf3972443fcba0797c235e8bebf depot 1"}','{}');
INSERT INTO "event" VALUES(134,1740718800000000,28,1,'leftfold.worker:reactor bells','{"worker":"reactor bells","holder":"32743@depot-1 0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0 pid:[4026531836] 3644975 99089cdbeaf94106a6d304ac70522ad5 depot 0","former":"32668@depot-1 0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0 pid:[4026531836] 3644796 81bbcdf3972443fcba0797c235e8bebf depot 1"}','{}');
INSERT INTO "event" VALUES(135,1740718800000000,2,2,'parcel:last
customer:ann','{"parcel":"last","customer":"ann","grams":100,"size":"small","fee":"2.50"}','{"command":"db5b5fab8f4d4e279da1494c73cf256d","command_type":"depot.book","correlation":"db5b5fab8f4d4e279da1494c73cf256d"}');
INSERT INTO "event" VALUES(136,1740718800000000,5,1,'leftfold.ticket:9d50a2335dae2173ee04117182c80e44','{"ticket":"9d50a2335dae2173ee04117182c80e44","command":"depot.count","command_version":1,"data":{"name":"open"}}','{"command":"9d50a2335dae2173ee04117182c80e44","command_type":"depot.count","correlation":"9d50a2335dae2173ee04117182c80e44"}');
CREATE TABLE idempotency_key (
    key            TEXT PRIMARY KEY,
    first_position INTEGER NOT NULL,
    last_position  INTEGER NOT NULL,
    digest         BLOB NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "idempotency_key" VALUES('batch',7,12,X'BE848A0590795F299674AE980EE94CC4');
INSERT INTO "idempotency_key" VALUES('book imported',2,2,X'095A709E8BAC4B1CD6696F85AEFFE07D');
INSERT INTO "idempotency_key" VALUES('book last',135,135,X'116338ABB7FF16D900BCB29B739059F6');
INSERT INTO "idempotency_key" VALUES('deliver p1',72,72,X'C15EB33117893DA5BF909413AE7EC30D');
INSERT INTO "idempotency_key" VALUES('leftfold skip weight ["worse scales letters transport"] 10',70,70,X'A5ADEFF6F9F4CA0A8779FB3761EB8C56');
INSERT INTO "idempotency_key" VALUES('leftfold.process.parked/depot.transport/bad transport/11/0',32,32,X'');
INSERT INTO "idempotency_key" VALUES('leftfold.process.parked/depot.transport/bad transport/11/1',89,89,X'');
INSERT INTO "idempotency_key" VALUES('leftfold.process.parked/depot.transport/worse scales letters transport/10/0',31,31,X'');
INSERT INTO "idempotency_key" VALUES('leftfold.process/depot.farewell',37,37,X'');
INSERT INTO "idempotency_key" VALUES('leftfold.process/depot.farewell/bad stops/73',98,99,X'');
INSERT INTO "idempotency_key" VALUES('leftfold.process/depot.farewell/p1/72',96,97,X'');
INSERT INTO "idempotency_key" VALUES('leftfold.process/depot.transport/bad letters late/120',123,125,X'');
INSERT INTO "idempotency_key" VALUES('leftfold.process/depot.transport/bad scales letters van/74',94,95,X'');
INSERT INTO "idempotency_key" VALUES('leftfold.process/depot.transport/bad scales letters van/9',28,30,X'');
INSERT INTO "idempotency_key" VALUES('leftfold.process/depot.transport/bad stops/12',33,35,X'');
INSERT INTO "idempotency_key" VALUES('leftfold.process/depot.transport/bad stops/73',92,93,X'');
INSERT INTO "idempotency_key" VALUES('leftfold.process/depot.transport/cancelled/6',19,21,X'');
INSERT INTO "idempotency_key" VALUES('leftfold.process/depot.transport/imported/2',13,15,X'');
INSERT INTO "idempotency_key" VALUES('leftfold.process/depot.transport/imported/44',58,59,X'');
INSERT INTO "idempotency_key" VALUES('leftfold.process/depot.transport/p1/7',22,24,X'');
INSERT INTO "idempotency_key" VALUES('leftfold.process/depot.transport/p1/72',90,91,X'');
INSERT INTO "idempotency_key" VALUES('leftfold.process/depot.transport/p2/8',25,27,X'');
INSERT INTO "idempotency_key" VALUES('leftfold.process/depot.transport/v1/3',16,18,X'');
INSERT INTO "idempotency_key" VALUES('leftfold.reactor/bells',1,1,X'');
INSERT INTO "idempotency_key" VALUES('leftfold.submit/count once',76,76,X'F5B8FC207045163DC1F35DCEAC0161D3');
INSERT INTO "idempotency_key" VALUES('leftfold.submit/count open',136,136,X'9CA33DB0F346396CB506F0229E238619');
INSERT INTO "idempotency_key" VALUES('leftfold.submit/daily',80,80,X'F454FDAEABA5C8CFA823D060EAEF6BC17B226174223A2230333A30303A3030222C227A6F6E65223A224575726F70652F5669656E6E61227D');
INSERT INTO "idempotency_key" VALUES('leftfold.submit/hourly',79,79,X'D9DA02AC685B85E78EBA67082790C34A22505432313630305322');
CREATE TABLE log (
    id      TEXT NOT NULL,
    created INTEGER NOT NULL    -- microseconds since 1970, UTC
) STRICT;
INSERT INTO "log" VALUES('bcefe3c603f24b7f98796417f5abe676',1735516800000000);
CREATE TABLE segment (
    first INTEGER PRIMARY KEY,  -- the events from this position
    last  INTEGER NOT NULL,     -- to this one; the newest segment ends with the largest integer
    id    INTEGER NOT NULL,
    level INTEGER NOT NULL      -- how often its tags have been merged
) STRICT;
INSERT INTO "segment" VALUES(1,9223372036854775807,1,0);
CREATE TABLE segment_merge (
    id    INTEGER PRIMARY KEY,
    first INTEGER NOT NULL,
    last  INTEGER NOT NULL,
    level INTEGER NOT NULL
) STRICT;
CREATE TABLE segment_merged (
    id INTEGER PRIMARY KEY
) STRICT;
CREATE TABLE segment_tag (
    segment  INTEGER NOT NULL,
    tag      TEXT NOT NULL,
    position INTEGER NOT NULL,
    type     INTEGER NOT NULL,
    PRIMARY KEY (segment, tag, position)
) STRICT, WITHOUT ROWID;
INSERT INTO "segment_tag" VALUES(1,'customer:ann',2,2);
INSERT INTO "segment_tag" VALUES(1,'customer:ann',3,2);
INSERT INTO "segment_tag" VALUES(1,'customer:ann',6,2);
INSERT INTO "segment_tag" VALUES(1,'customer:ann',7,2);
INSERT INTO "segment_tag" VALUES(1,'customer:ann',8,2);
INSERT INTO "segment_tag" VALUES(1,'customer:ann',120,2);
INSERT INTO "segment_tag" VALUES(1,'customer:ann',135,2);
INSERT INTO "segment_tag" VALUES(1,'customer:bob',9,2);
INSERT INTO "segment_tag" VALUES(1,'customer:bob',10,2);
INSERT INTO "segment_tag" VALUES(1,'customer:bob',11,2);
INSERT INTO "segment_tag" VALUES(1,'customer:bob',12,2);
INSERT INTO "segment_tag" VALUES(1,'leftfold.process:depot.farewell',37,8);
INSERT INTO "segment_tag" VALUES(1,'leftfold.process:depot.farewell',100,8);
INSERT INTO "segment_tag" VALUES(1,'leftfold.process:depot.farewell/bad stops',99,7);
INSERT INTO "segment_tag" VALUES(1,'leftfold.process:depot.farewell/p1',97,7);
INSERT INTO "segment_tag" VALUES(1,'leftfold.process:depot.transport',36,8);
INSERT INTO "segment_tag" VALUES(1,'leftfold.process:depot.transport',60,8);
INSERT INTO "segment_tag" VALUES(1,'leftfold.process:depot.transport',106,8);
INSERT INTO "segment_tag" VALUES(1,'leftfold.process:depot.transport/bad letters late',125,7);
INSERT INTO "segment_tag" VALUES(1,'leftfold.process:depot.transport/bad scales letters van',30,7);
INSERT INTO "segment_tag" VALUES(1,'leftfold.process:depot.transport/bad scales letters van',95,7);
INSERT INTO "segment_tag" VALUES(1,'leftfold.process:depot.transport/bad stops',35,7);
INSERT INTO "segment_tag" VALUES(1,'leftfold.process:depot.transport/bad stops',93,7);
INSERT INTO "segment_tag" VALUES(1,'leftfold.process:depot.transport/bad transport',32,6);
INSERT INTO "segment_tag" VALUES(1,'leftfold.process:depot.transport/bad transport',66,19);
INSERT INTO "segment_tag" VALUES(1,'leftfold.process:depot.transport/bad transport',89,6);
INSERT INTO "segment_tag" VALUES(1,'leftfold.process:depot.transport/cancelled',21,7);
INSERT INTO "segment_tag" VALUES(1,'leftfold.process:depot.transport/cancelled',68,22);
INSERT INTO "segment_tag" VALUES(1,'leftfold.process:depot.transport/imported',15,7);
INSERT INTO "segment_tag" VALUES(1,'leftfold.process:depot.transport/imported',59,7);
INSERT INTO "segment_tag" VALUES(1,'leftfold.process:depot.transport/p1',24,7);
INSERT INTO "segment_tag" VALUES(1,'leftfold.process:depot.transport/p1',91,7);
INSERT INTO "segment_tag" VALUES(1,'leftfold.process:depot.transport/p2',27,7);
INSERT INTO "segment_tag" VALUES(1,'leftfold.process:depot.transport/v1',18,7);
INSERT INTO "segment_tag" VALUES(1,'leftfold.process:depot.transport/worse scales letters transport',31,6);
INSERT INTO "segment_tag" VALUES(1,'leftfold.process:depot.transport/worse scales letters transport',67,20);
INSERT INTO "segment_tag" VALUES(1,'leftfold.reactor:bells',1,1);
INSERT INTO "segment_tag" VALUES(1,'leftfold.reactor:bells',101,10);
INSERT INTO "segment_tag" VALUES(1,'leftfold.reactor:bells',107,10);
INSERT INTO "segment_tag" VALUES(1,'leftfold.reactor:letters',38,1);
INSERT INTO "segment_tag" VALUES(1,'leftfold.reactor:letters',39,9);
INSERT INTO "segment_tag" VALUES(1,'leftfold.reactor:letters',40,9);
INSERT INTO "segment_tag" VALUES(1,'leftfold.reactor:letters',41,10);
INSERT INTO "segment_tag" VALUES(1,'leftfold.reactor:letters',62,17);
INSERT INTO "segment_tag" VALUES(1,'leftfold.reactor:letters',63,17);
INSERT INTO "segment_tag" VALUES(1,'leftfold.reactor:letters',64,10);
INSERT INTO "segment_tag" VALUES(1,'leftfold.reactor:letters',65,18);
INSERT INTO "segment_tag" VALUES(1,'leftfold.reactor:letters',126,9);
INSERT INTO "segment_tag" VALUES(1,'leftfold.reactor:letters',127,10);
INSERT INTO "segment_tag" VALUES(1,'leftfold.read_model:weight',70,23);
INSERT INTO "segment_tag" VALUES(1,'leftfold.recurring:6da6a6da83ab613740b32a43c2835483',80,5);
INSERT INTO "segment_tag" VALUES(1,'leftfold.recurring:6da6a6da83ab613740b32a43c2835483',119,5);
INSERT INTO "segment_tag" VALUES(1,'leftfold.recurring:a6835ef51a3c7286a74f2d5211ad1fb6',79,5);
INSERT INTO "segment_tag" VALUES(1,'leftfold.recurring:a6835ef51a3c7286a74f2d5211ad1fb6',113,5);
INSERT INTO "segment_tag" VALUES(1,'leftfold.recurring:a6835ef51a3c7286a74f2d5211ad1fb6',116,5);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:01780ffba90968096c03dc9a83b42b47',113,5);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:01780ffba90968096c03dc9a83b42b47',115,13);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:09e740df29e8a13d2ac92200461270a3',123,5);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:09e740df29e8a13d2ac92200461270a3',129,13);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:293733ab9e39481d95f3f9100b55a691',14,5);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:293733ab9e39481d95f3f9100b55a691',45,13);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:2bc5753c57f500792202ac75c56e62d3',19,5);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:2bc5753c57f500792202ac75c56e62d3',49,13);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:320094ead7a94ded97491e2370c6a5b8',78,5);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:4b4d8474a3ea484dbbd0334684e55160',81,5);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:4b4d8474a3ea484dbbd0334684e55160',82,21);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:52f5674707bbe39a3d6fae43bd313af5',26,5);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:5387f61376c448ae87321cc007b37e14',77,5);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:5387f61376c448ae87321cc007b37e14',87,14);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:5387f61376c448ae87321cc007b37e14',109,16);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:58840311ecafaadeded0d5f3e0876e9a',98,5);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:58840311ecafaadeded0d5f3e0876e9a',105,13);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:62f2a2ea5d330687d2cefdcbd07be8df',94,5);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:6822a6b247354f1ca7a1149075139237',121,5);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:6822a6b247354f1ca7a1149075139237',122,14);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:6da6a6da83ab613740b32a43c2835483',80,5);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:6da6a6da83ab613740b32a43c2835483',118,13);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:6f5539a5538a50d9663b0e9c28dcaad2',116,5);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:89017353ab7fe3720ba30e7ed11a0871',33,5);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:89017353ab7fe3720ba30e7ed11a0871',56,13);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:8a85745dbcdbc0ffb1eb1bd8c6f96518',25,5);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:8a85745dbcdbc0ffb1eb1bd8c6f96518',53,13);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:998092253def4a38a12b2b8f30b17d0b',75,5);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:998092253def4a38a12b2b8f30b17d0b',84,27);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:9d50a2335dae2173ee04117182c80e44',136,5);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:a6835ef51a3c7286a74f2d5211ad1fb6',79,5);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:a6835ef51a3c7286a74f2d5211ad1fb6',112,13);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:b2f48290b11bc3f7d63c58c0f8f20cf7',124,5);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:bff80025d4edd00f356f7ac7c1dba31d',13,5);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:bff80025d4edd00f356f7ac7c1dba31d',43,13);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:c2f7e3003b7416c33f40f2b9361b150b',20,5);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:c2f7e3003b7416c33f40f2b9361b150b',69,21);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:c56f5e0286c85cd7c572f343f234d398',76,5);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:c56f5e0286c85cd7c572f343f234d398',86,13);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:cd376de7ec069f5863234505ba0b7451',29,5);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:d3f126323eae3ccd3c3a4716efba066d',17,5);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:d798f08ac2bb43330939974833aec6fb',34,5);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:d798f08ac2bb43330939974833aec6fb',92,21);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:d7c7eb188f2ece1c5e63d237bab59aff',96,5);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:d7c7eb188f2ece1c5e63d237bab59aff',103,13);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:d8f612f4d9a343c82acec375d87646fb',23,5);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:d8f612f4d9a343c82acec375d87646fb',90,21);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:e54c641b8f5bb3d025fe71da37459d5f',119,5);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:eb3ccaee209a309672bf49f4b6d42a46',28,5);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:eb3ccaee209a309672bf49f4b6d42a46',54,14);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:eb3ccaee209a309672bf49f4b6d42a46',61,16);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:eb3ccaee209a309672bf49f4b6d42a46',71,24);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:eb3ccaee209a309672bf49f4b6d42a46',83,14);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:eb3ccaee209a309672bf49f4b6d42a46',108,16);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:ec11dc66994a8b38f771727864d68dd7',22,5);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:ec11dc66994a8b38f771727864d68dd7',51,13);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:ee5063bf8a66700329aac300c9e15c29',58,5);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:f354772e71cb42baf7d2c99c514dc4bb',16,5);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:f354772e71cb42baf7d2c99c514dc4bb',47,13);
INSERT INTO "segment_tag" VALUES(1,'leftfold.worker:commands of depot f83a4d97',130,28);
INSERT INTO "segment_tag" VALUES(1,'leftfold.worker:process depot.farewell',132,28);
INSERT INTO "segment_tag" VALUES(1,'leftfold.worker:process depot.transport',131,28);
INSERT INTO "segment_tag" VALUES(1,'leftfold.worker:reactor bells',134,28);
INSERT INTO "segment_tag" VALUES(1,'leftfold.worker:reactor letters',133,28);
INSERT INTO "segment_tag" VALUES(1,'parcel:bad letters late',120,2);
INSERT INTO "segment_tag" VALUES(1,'parcel:bad letters late',128,12);
INSERT INTO "segment_tag" VALUES(1,'parcel:bad scales letters van',9,2);
INSERT INTO "segment_tag" VALUES(1,'parcel:bad scales letters van',74,11);
INSERT INTO "segment_tag" VALUES(1,'parcel:bad stops',12,2);
INSERT INTO "segment_tag" VALUES(1,'parcel:bad stops',55,12);
INSERT INTO "segment_tag" VALUES(1,'parcel:bad stops',73,25);
INSERT INTO "segment_tag" VALUES(1,'parcel:bad transport',11,2);
INSERT INTO "segment_tag" VALUES(1,'parcel:cancelled',6,2);
INSERT INTO "segment_tag" VALUES(1,'parcel:cancelled',48,12);
INSERT INTO "segment_tag" VALUES(1,'parcel:imported',2,2);
INSERT INTO "segment_tag" VALUES(1,'parcel:imported',42,12);
INSERT INTO "segment_tag" VALUES(1,'parcel:imported',44,11);
INSERT INTO "segment_tag" VALUES(1,'parcel:last',135,2);
INSERT INTO "segment_tag" VALUES(1,'parcel:p1',7,2);
INSERT INTO "segment_tag" VALUES(1,'parcel:p1',50,12);
INSERT INTO "segment_tag" VALUES(1,'parcel:p1',72,25);
INSERT INTO "segment_tag" VALUES(1,'parcel:p2',8,2);
INSERT INTO "segment_tag" VALUES(1,'parcel:p2',52,12);
INSERT INTO "segment_tag" VALUES(1,'parcel:v1',3,2);
INSERT INTO "segment_tag" VALUES(1,'parcel:v1',4,4);
INSERT INTO "segment_tag" VALUES(1,'parcel:v1',46,12);
INSERT INTO "segment_tag" VALUES(1,'parcel:worse scales letters transport',10,2);
INSERT INTO "segment_tag" VALUES(1,'zoll:Köln',5,3);
CREATE TABLE type (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO "type" VALUES(1,'leftfold.reactor.checkpoint');
INSERT INTO "type" VALUES(2,'depot.booked');
INSERT INTO "type" VALUES(3,'customs.stamped');
INSERT INTO "type" VALUES(4,'depot.dispatched');
INSERT INTO "type" VALUES(5,'leftfold.command.submitted');
INSERT INTO "type" VALUES(6,'leftfold.process.parked');
INSERT INTO "type" VALUES(7,'leftfold.process.reacted');
INSERT INTO "type" VALUES(8,'leftfold.process.checkpoint');
INSERT INTO "type" VALUES(9,'leftfold.reactor.postponed');
INSERT INTO "type" VALUES(10,'leftfold.reactor.reacted');
INSERT INTO "type" VALUES(11,'depot.reminded');
INSERT INTO "type" VALUES(12,'depot.sent');
INSERT INTO "type" VALUES(13,'leftfold.command.handled');
INSERT INTO "type" VALUES(14,'leftfold.command.postponed');
INSERT INTO "type" VALUES(15,'leftfold.command.checkpoint');
INSERT INTO "type" VALUES(16,'leftfold.command.failed');
INSERT INTO "type" VALUES(17,'leftfold.reactor.parked');
INSERT INTO "type" VALUES(18,'leftfold.reactor.skipped');
INSERT INTO "type" VALUES(19,'leftfold.process.retried');
INSERT INTO "type" VALUES(20,'leftfold.process.skipped');
INSERT INTO "type" VALUES(21,'leftfold.command.cancelled');
INSERT INTO "type" VALUES(22,'leftfold.process.cancelled');
INSERT INTO "type" VALUES(23,'leftfold.event_skipped');
INSERT INTO "type" VALUES(24,'leftfold.command.retried');
INSERT INTO "type" VALUES(25,'depot.delivered');
INSERT INTO "type" VALUES(26,'depot.counted');
INSERT INTO "type" VALUES(27,'leftfold.command.rejected');
INSERT INTO "type" VALUES(28,'leftfold.worker.replaced');
CREATE INDEX event_type ON event (type);
CREATE VIEW events AS
SELECT
    event.position,
    strftime('%Y-%m-%dT%H:%M:%S', event.time / 1000000, 'unixepoch') || printf('.%06dZ', event.time % 1000000) AS time,
    event.time AS microseconds,
    type.name AS type,
    event.version,
    CASE event.tags
        WHEN '' THEN '[]'
        ELSE '["' || replace(replace(replace(event.tags, '\', '\\'), '"', '\"'), char(10), '","') || '"]'
    END AS tags,
    iif(typeof(event.data) = 'text' AND NOT instr(CAST(event.data AS BLOB), x'00'), event.data, NULL) AS data,
    iif(typeof(event.metadata) = 'text' AND NOT instr(CAST(event.metadata AS BLOB), x'00'), event.metadata, NULL)
        AS metadata,
    iif(typeof(event.data) = 'text' AND NOT instr(CAST(event.data AS BLOB), x'00'), NULL, lower(hex(event.data)))
        AS data_hex,
    iif(
        typeof(event.metadata) = 'text' AND NOT instr(CAST(event.metadata AS BLOB), x'00'),
        NULL,
        lower(hex(event.metadata))
    ) AS metadata_hex
FROM event
JOIN type ON type.id = event.type;
CREATE TRIGGER event_is_never_updated BEFORE UPDATE ON event
BEGIN
    SELECT raise(ABORT, 'events are never updated');
END;
CREATE TRIGGER event_is_never_deleted BEFORE DELETE ON event
BEGIN
    SELECT raise(ABORT, 'events are never deleted');
END;
CREATE TRIGGER event_is_never_replaced BEFORE INSERT ON event
WHEN EXISTS (SELECT 1 FROM event WHERE position = new.position)
BEGIN
    SELECT raise(ABORT, 'events are never replaced');
END;
CREATE TRIGGER type_is_never_updated BEFORE UPDATE ON type
BEGIN
    SELECT raise(ABORT, 'types are never updated');
END;
CREATE TRIGGER type_is_never_deleted BEFORE DELETE ON type
BEGIN
    SELECT raise(ABORT, 'types are never deleted');
END;
CREATE TRIGGER type_is_never_replaced BEFORE INSERT ON type
WHEN EXISTS (SELECT 1 FROM type WHERE id = new.id OR name = new.name)
BEGIN
    SELECT raise(ABORT, 'types are never replaced');
END;
CREATE TRIGGER idempotency_key_is_never_updated BEFORE UPDATE ON idempotency_key
BEGIN
    SELECT raise(ABORT, 'idempotency keys are never updated');
END;
CREATE TRIGGER idempotency_key_is_never_deleted BEFORE DELETE ON idempotency_key
BEGIN
    SELECT raise(ABORT, 'idempotency keys are never deleted');
END;
CREATE TRIGGER idempotency_key_is_never_replaced BEFORE INSERT ON idempotency_key
WHEN EXISTS (SELECT 1 FROM idempotency_key WHERE key = new.key)
BEGIN
    SELECT raise(ABORT, 'idempotency keys are never replaced');
END;
CREATE TRIGGER log_is_never_updated BEFORE UPDATE ON log
BEGIN
    SELECT raise(ABORT, 'the identity of a log is never updated');
END;
CREATE TRIGGER log_is_never_deleted BEFORE DELETE ON log
BEGIN
    SELECT raise(ABORT, 'the identity of a log is never deleted');
END;
CREATE TRIGGER log_has_one_identity BEFORE INSERT ON log
WHEN EXISTS (SELECT 1 FROM log)
BEGIN
    SELECT raise(ABORT, 'a log has one identity');
END;
COMMIT;

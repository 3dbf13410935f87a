test:
	@echo "to come"
